/**
 * Regular expressions as JSON Schema and JavaScript write them, as far as they are regular: no references to groups, no
 * word boundaries, and looking ahead only at the start, where it filters whole texts. Which of several matches is found makes no difference to which texts match,
 * so that lazy and greedy are one.
 */
import { PronkError } from "../errors.ts";
import {
  both,
  type CodePointRanges,
  characters,
  choice,
  type Expression,
  except,
  invertRanges,
  LAST_CODE_POINT,
  NOTHING,
  repeat,
  sequence,
} from "./expression.ts";
import { unicodeProperty } from "./unicode-property.ts";

export interface RegexOptions {
  /** "whole": all of the text, the default; "anywhere": some part of it, as `pattern` of JSON Schema. */
  readonly match?: "whole" | "anywhere";
  /** What errors call it. */
  readonly param?: string;
}

/** Bounds time and memory on hostile patterns. */
const MAX_CHARS = 20_000;
const MAX_DEPTH = 100;
const MAX_COUNT = 100_000;

const DIGIT: CodePointRanges = [[0x30, 0x39]];
const WORD: CodePointRanges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
/** JavaScript's white space and line ends. */
const SPACE: CodePointRanges = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_ENDS: CodePointRanges = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const CLASSES: Readonly<Record<string, CodePointRanges>> = {
  d: DIGIT,
  D: invertRanges(DIGIT),
  w: WORD,
  W: invertRanges(WORD),
  s: SPACE,
  S: invertRanges(SPACE),
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, "0": 0 };
const ANYTHING: Expression = repeat(characters([0, LAST_CODE_POINT]), 0, Number.POSITIVE_INFINITY);

/** A pattern before its anchors are resolved. */
type Node =
  | { readonly type: "expression"; readonly expression: Expression }
  | { readonly type: "anchor"; readonly atStart: boolean }
  | { readonly type: "sequence" | "choice"; readonly items: readonly Node[] }
  | { readonly type: "repeat"; readonly item: Node; readonly min: number; readonly max: number };

/** @throws PronkError "bad_request" with the place of what is wrong, or "unsupported" by name. */
export function parseRegex(source: string, options: RegexOptions = {}): Expression {
  const { match = "whole", param = "regex" } = options;
  if (source.length > MAX_CHARS) {
    throw new PronkError(
      "bad_request",
      `${param}: ${source.length} characters, at most ${MAX_CHARS}`,
      {
        param,
      },
    );
  }
  const parser = new Parser(source, param);
  const { node, ahead } = parser.parse(match === "whole");
  const bad = (what: string): PronkError => parser.bad(what);
  const isOpen = match === "anywhere";
  let expression = resolveAnchors(node, { before: isOpen, behind: isOpen }, bad);
  for (const { inner, isWanted } of ahead) {
    const filter = resolveAnchors(inner, { before: false, behind: true }, bad);
    expression = isWanted ? both(expression, filter) : except(expression, filter);
  }
  return expression;
}

const AT_START: Node = { type: "anchor", atStart: true };

/** What the start of a text has to be, or must not be. */
interface LookAhead {
  readonly inner: Node;
  readonly isWanted: boolean;
}

class Parser {
  readonly #source: string;
  readonly #param: string;
  #at = 0;
  #depth = 0;

  constructor(source: string, param: string) {
    this.#source = source;
    this.#param = param;
  }

  /** @param isStart the pattern begins where the text does, without saying so */
  parse(isStart: boolean): { node: Node; ahead: readonly LookAhead[] } {
    const ahead: LookAhead[] = [];
    const [start] = /^\^?/.exec(this.#source) ?? [""];
    const looksAhead = (): boolean => /^\(\?[=!]/.test(this.#source.slice(this.#at, this.#at + 3));
    this.#at = start.length;
    if ((!isStart && start === "") || !looksAhead()) this.#at = 0;
    else {
      while (looksAhead()) {
        const isWanted = this.#source[this.#at + 2] === "=";
        this.#at += 3;
        ahead.push({ inner: this.#choice(), isWanted });
        if (!this.#take(")")) throw this.bad(") is missing");
      }
    }
    const node = ahead.length === 0 ? this.#choice() : this.#sequence();
    if (this.#source[this.#at] === "|") throw this.bad("look-around is not supported");
    if (this.#at < this.#source.length) throw this.bad("an unmatched )");
    if (ahead.length === 0) return { node, ahead };
    return { node: { type: "sequence", items: [AT_START, node] }, ahead };
  }

  bad(what: string): PronkError {
    const shown = this.#source.length > 80 ? `${this.#source.slice(0, 80)}...` : this.#source;
    const message = `${this.#param}: ${what} at ${this.#at} of ${JSON.stringify(shown)}`;
    return new PronkError("bad_request", message, { param: this.#param });
  }

  #choice(): Node {
    if (++this.#depth > MAX_DEPTH) throw this.bad(`more than ${MAX_DEPTH} groups in each other`);
    const items = [this.#sequence()];
    while (this.#take("|")) items.push(this.#sequence());
    this.#depth--;
    return items.length === 1 ? items[0] : { type: "choice", items };
  }

  #sequence(): Node {
    const items: Node[] = [];
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at])) {
      items.push(this.#repeated(this.#item()));
    }
    return items.length === 1 ? items[0] : { type: "sequence", items };
  }

  #item(): Node {
    if (this.#take("^")) return { type: "anchor", atStart: true };
    if (this.#take("$")) return { type: "anchor", atStart: false };
    if (this.#take("(")) return this.#group();
    if (this.#take("[")) return one(this.#class());
    if (this.#take(".")) return one(invertRanges(LINE_ENDS));
    if (this.#take("\\")) return one(this.#escape(false));
    const char = this.#source[this.#at];
    if ("*+?".includes(char) || /^\{\d/.test(this.#source.slice(this.#at, this.#at + 2))) {
      throw this.bad(`${char} repeats nothing`);
    }
    return one([this.#codePoint()]);
  }

  #group(): Node {
    if (this.#take("?")) {
      const name = /^<[A-Za-z_$][\w$]*>/.exec(this.#source.slice(this.#at, this.#at + 100));
      if (name !== null) this.#at += name[0].length;
      else if (
        this.#source.startsWith("<", this.#at) ||
        /[=!]/.test(this.#source[this.#at] ?? "")
      ) {
        throw this.bad("look-around is not supported");
      } else if (!this.#take(":")) throw this.bad("groups with flags are not supported");
    }
    const inner = this.#choice();
    if (!this.#take(")")) throw this.bad(") is missing");
    return inner;
  }

  #repeated(item: Node): Node {
    let result = item;
    for (let times = 0; ; times++) {
      const bounds = this.#bounds();
      if (bounds === undefined) return result;
      if (item.type === "anchor") throw this.bad("an anchor cannot be repeated");
      if (times > 0) throw this.bad("a count of a count");
      const [min, max] = bounds;
      if (max < min) throw this.bad(`{${min},${max}}: at most is less than at least`);
      result = { type: "repeat", item: result, min, max };
      if (!this.#take("?") && this.#source[this.#at] === "+") {
        throw this.bad("possessive counts are not supported");
      }
    }
  }

  #bounds(): readonly [number, number] | undefined {
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#take("?")) return [0, 1];
    const counts = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(this.#source.slice(this.#at, this.#at + 24));
    if (counts === null) return undefined;
    this.#at += counts[0].length;
    const [, min, comma, max] = counts;
    for (const count of [min, max]) {
      if (Number(count ?? 0) > MAX_COUNT)
        throw this.bad(`a count of ${count}, at most ${MAX_COUNT}`);
    }
    if (comma === undefined) return [Number(min), Number(min)];
    return [Number(min), max === "" ? Number.POSITIVE_INFINITY : Number(max)];
  }

  #class(): CodePointRanges {
    const negative = this.#take("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#take("]")) {
      if (this.#at >= this.#source.length) throw this.bad("] is missing");
      const from = this.#member();
      const isRange = this.#source[this.#at] === "-" && this.#source[this.#at + 1] !== "]";
      if (!isRange || !isSingle(from)) {
        ranges.push(...from);
        continue;
      }
      this.#at++;
      const to = this.#member();
      if (!isSingle(to)) throw this.bad("a range that ends with a class");
      if (to[0][0] < from[0][0]) throw this.bad("a range that ends before it begins");
      ranges.push([from[0][0], to[0][0]]);
    }
    return negative ? invertRanges(ranges) : ranges;
  }

  #member(): CodePointRanges {
    return this.#take("\\") ? this.#escape(true) : [this.#codePoint()];
  }

  #escape(inClass: boolean): CodePointRanges {
    const char = this.#source[this.#at++];
    if (char === undefined) throw this.bad("nothing after \\");
    const known = CLASSES[char];
    if (known !== undefined) return known;
    if (char === "b" && inClass) return [[8, 8]];
    if (char === "b" || char === "B") throw this.bad("word boundaries are not supported");
    if ((char >= "1" && char <= "9") || char === "k")
      throw this.bad("references to groups are not supported");
    if (char === "x") return single(this.#hex(2));
    if (char === "u") return single(this.#unicode());
    if (char === "p" || char === "P") return this.#property(char === "P");
    if (char === "c") return single(this.#control());
    const control = CONTROLS[char];
    if (control !== undefined) return single(control);
    if (/[A-Za-z]/.test(char)) throw this.bad(`\\${char} is not known`);
    this.#at--;
    return [this.#codePoint()];
  }

  #control(): number {
    const char = this.#source[this.#at++] ?? "";
    if (!/[A-Za-z]/.test(char)) throw this.bad("a letter is missing after \\c");
    return char.charCodeAt(0) % 32;
  }

  #property(negative: boolean): CodePointRanges {
    const name = /^\{([A-Za-z_]+(?:=[A-Za-z_]+)?)\}/.exec(
      this.#source.slice(this.#at, this.#at + 64),
    );
    const ranges = name === null ? undefined : unicodeProperty(name[1]);
    if (name === null || ranges === undefined) throw this.bad("an unknown Unicode property");
    this.#at += name[0].length;
    return negative ? invertRanges(ranges) : ranges;
  }

  #unicode(): number {
    const braced = /^\{([0-9a-fA-F]{1,6})\}/.exec(this.#source.slice(this.#at, this.#at + 8));
    if (braced !== null) {
      this.#at += braced[0].length;
      const code = Number.parseInt(braced[1], 16);
      if (code > LAST_CODE_POINT) throw this.bad("beyond Unicode");
      return code;
    }
    const high = this.#hex(4);
    const isHigh = high >= 0xd800 && high <= 0xdbff;
    const low = /^\\u(d[c-f][0-9a-f]{2})/i.exec(this.#source.slice(this.#at, this.#at + 6));
    if (!isHigh || low === null) return high;
    this.#at += 6;
    return 0x10000 + (high - 0xd800) * 0x400 + (Number.parseInt(low[1], 16) - 0xdc00);
  }

  #hex(digits: number): number {
    const hex = this.#source.slice(this.#at, this.#at + digits);
    if (hex.length < digits || !/^[0-9a-fA-F]+$/.test(hex)) {
      throw this.bad(`${digits} hexadecimal digits are missing`);
    }
    this.#at += digits;
    return Number.parseInt(hex, 16);
  }

  #codePoint(): readonly [number, number] {
    const code = this.#source.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    return [code, code];
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }
}

function one(ranges: CodePointRanges): Node {
  return { type: "expression", expression: characters(...ranges) };
}

function single(code: number): CodePointRanges {
  return [[code, code]];
}

function isSingle(ranges: CodePointRanges): boolean {
  return ranges.length === 1 && ranges[0][0] === ranges[0][1];
}

/** Where a node stands in the pattern: only where a text begins or ends can it be anchored. */
interface Place {
  readonly first: boolean;
  readonly last: boolean;
}

/** @param open whether other text may come before and behind what is not anchored */
function resolveAnchors(
  node: Node,
  open: { readonly before: boolean; readonly behind: boolean },
  bad: (what: string) => PronkError,
): Expression {
  const around = (expression: Expression, { first, last }: Place): Expression => {
    const before = first && open.before ? [ANYTHING] : [];
    const behind = last && open.behind ? [ANYTHING] : [];
    return before.length + behind.length === 0
      ? expression
      : sequence(...before, expression, ...behind);
  };
  const resolve = (inner: Node, place: Place): Expression => {
    switch (inner.type) {
      case "expression":
        return around(inner.expression, place);
      case "anchor":
        throw bad(inner.atStart ? "^ where no text begins" : "$ where no text ends");
      case "repeat":
        return around(
          repeat(resolve(inner.item, { first: false, last: false }), inner.min, inner.max),
          place,
        );
      case "choice":
        return choice(...inner.items.map((item) => resolve(item, place)));
      case "sequence":
        return resolveSequence(inner.items, place);
    }
  };
  const resolveSequence = (items: readonly Node[], { first, last }: Place): Expression => {
    let from = 0;
    let to = items.length;
    while (first && from < to && isAnchor(items[from], true)) from++;
    while (last && to > from && isAnchor(items[to - 1], false)) to--;
    const rest = items.slice(from, to);
    const isFirst = first && from === 0;
    const isLast = last && to === items.length;
    if (rest.length === 0) return around(NOTHING, { first: isFirst, last: isLast });
    const parts = rest.map((item, i) =>
      resolve(item, { first: isFirst && i === 0, last: isLast && i === rest.length - 1 }),
    );
    return sequence(...parts);
  };
  // A lone anchor is a sequence of one.
  return resolve(node.type === "anchor" ? { type: "sequence", items: [node] } : node, {
    first: true,
    last: true,
  });
}

function isAnchor(node: Node, atStart: boolean): boolean {
  return node.type === "anchor" && node.atStart === atStart;
}
