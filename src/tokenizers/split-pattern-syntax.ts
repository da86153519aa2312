/** The syntax of split patterns: what tokenizers use of it, in all dialects with the same meaning. */
import { PronkError } from "../errors.ts";

export interface CharacterNode {
  readonly type: "character";
  readonly accepts: (code: number) => boolean;
  /** What asking costs: of a class, how many parts it has. */
  readonly steps: number;
}

export type PatternNode =
  | CharacterNode
  | { readonly type: "sequence" | "choice"; readonly items: readonly PatternNode[] }
  | { readonly type: "look"; readonly item: PatternNode; readonly negative: boolean }
  | { readonly type: "atomic"; readonly item: PatternNode }
  | { readonly type: "anchor"; readonly atStart: boolean }
  | {
      readonly type: "repeat";
      readonly item: PatternNode;
      readonly min: number;
      readonly max: number;
      readonly lazy: boolean;
    };

type Accepts = (code: number) => boolean;

/** Bounds what a hostile file can make us build. */
const MAX_CHARS = 4096;
const MAX_DEPTH = 32;
const MAX_COUNT = 1000;

/** Of Unicode. */
const MAX_CODE = 0x10ffff;

const CLASSES: Readonly<Record<string, string>> = {
  s: "\\p{White_Space}",
  d: "\\p{Nd}",
  w: "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d",
};
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, "0": 0 };

/** @throws PronkError "unsupported" with what it does not know. */
export function parsePattern(source: string): PatternNode {
  return new Parser(source).parse();
}

class Parser {
  readonly #source: string;
  #at = 0;
  #depth = 0;
  #anyCase = false;
  /** By what they match: each keeps a table of 64 KiB. */
  readonly #classes = new Map<string, Accepts>();

  constructor(source: string) {
    if (source.length > MAX_CHARS) throw this.#bad(`of ${source.length} characters`);
    this.#source = source;
  }

  parse(): PatternNode {
    const node = this.#choice();
    if (this.#at < this.#source.length) throw this.#bad("an unmatched )");
    return node;
  }

  #bad(what: string): PronkError {
    return new PronkError("unsupported", `tokenizer: split pattern: ${what} at ${this.#at}`);
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #choice(): PatternNode {
    if (++this.#depth > MAX_DEPTH) throw this.#bad("groups nested too deeply");
    const anyCase = this.#anyCase;
    const items = [this.#sequence()];
    while (this.#take("|")) items.push(this.#sequence());
    this.#anyCase = anyCase;
    this.#depth--;
    return items.length === 1 ? items[0]! : { type: "choice", items };
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = [];
    while (this.#at < this.#source.length && !/[|)]/.test(this.#source[this.#at]!)) {
      if (this.#take("(?i)")) this.#anyCase = true;
      else items.push(this.#repeated());
    }
    return { type: "sequence", items };
  }

  #repeated(): PatternNode {
    const item = this.#atom();
    const [min, max] = this.#count();
    if (min < 0) return item;
    if (this.#take("+")) {
      return { type: "atomic", item: { type: "repeat", item, min, max, lazy: false } };
    }
    return { type: "repeat", item, min, max, lazy: this.#take("?") };
  }

  #count(): [min: number, max: number] {
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#take("?")) return [0, 1];
    const counted = /^\{(\d*)(,?)(\d*)\}/.exec(this.#source.slice(this.#at, this.#at + 16));
    if (counted === null || (counted[1] === "" && counted[3] === "")) return [-1, -1];
    this.#at += counted[0].length;
    const min = Number(counted[1]);
    const max =
      counted[2] === "" ? min : counted[3] === "" ? Number.POSITIVE_INFINITY : Number(counted[3]);
    if (min > MAX_COUNT || max < min || (max > MAX_COUNT && Number.isFinite(max))) {
      throw this.#bad("a count");
    }
    return [min, max];
  }

  #atom(): PatternNode {
    if (this.#take("(")) return this.#group();
    if (this.#take("[")) return this.#class();
    if (this.#take(".")) return character((code) => code !== 0x0a);
    if (this.#take("^") || this.#take("\\A")) return { type: "anchor", atStart: true };
    if (this.#take("$") || this.#take("\\z")) return { type: "anchor", atStart: false };
    if (this.#take("\\")) return character(this.#escape());
    const code = this.#source.codePointAt(this.#at)!;
    if ("*+?".includes(String.fromCodePoint(code))) throw this.#bad("nothing to repeat");
    this.#at += code > 0xffff ? 2 : 1;
    return character(this.#literal(code));
  }

  #group(): PatternNode {
    const look = this.#take("?=") ? 1 : this.#take("?!") ? -1 : 0;
    const atomic = look === 0 && this.#take("?>");
    const anyCase = this.#anyCase;
    if (look === 0 && !atomic) {
      if (this.#take("?i:")) this.#anyCase = true;
      else if (!this.#take("?:") && this.#source[this.#at] === "?") throw this.#bad("a group");
    }
    const item = this.#choice();
    this.#anyCase = anyCase;
    if (!this.#take(")")) throw this.#bad("a group without an end");
    if (look !== 0) return { type: "look", item, negative: look < 0 };
    return atomic ? { type: "atomic", item } : item;
  }

  #literal(code: number): Accepts {
    if (!this.#anyCase) return (other) => other === code;
    // By upper case, so that U+017F, the long s, is an s.
    const upper = upperOf(code);
    return (other) => other === code || upperOf(other) === upper;
  }

  #class(): PatternNode {
    const negative = this.#take("^");
    const parts: Accepts[] = [];
    for (let first = true; first || this.#source[this.#at] !== "]"; first = false) {
      if (this.#at >= this.#source.length) throw this.#bad("a class without an end");
      if (this.#source[this.#at] === "[" || this.#take("&&")) throw this.#bad("a class in a class");
      parts.push(this.#classItem());
    }
    this.#at++;
    return character((code) => parts.some((accepts) => accepts(code)) !== negative, parts.length);
  }

  #classItem(): Accepts {
    const from = this.#classCode();
    if (typeof from === "function") return from;
    if (this.#source[this.#at] !== "-" || this.#source[this.#at + 1] === "]") {
      return this.#literal(from);
    }
    this.#at++;
    const to = this.#classCode();
    if (typeof to === "function" || to < from) throw this.#bad("a range");
    if (!this.#anyCase) return (code) => code >= from && code <= to;
    return (code) =>
      [code, upperOf(code), lowerOf(code)].some((other) => other >= from && other <= to);
  }

  /** A character of a class, or a class that is named in it. */
  #classCode(): number | Accepts {
    if (this.#take("\\")) {
      const code = this.#escapedCode();
      return code ?? this.#namedClass();
    }
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined) throw this.#bad("a class without an end");
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #escape(): Accepts {
    const code = this.#escapedCode();
    return code === undefined ? this.#namedClass() : this.#literal(code);
  }

  /** Behind a backslash: one character, or undefined for a class. */
  #escapedCode(): number | undefined {
    const hex = /^(?:x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/.exec(
      this.#source.slice(this.#at, this.#at + 10),
    );
    if (hex !== null) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16);
      if (code > MAX_CODE) throw this.#bad("no character");
      this.#at += hex[0].length;
      return code;
    }
    const letter = this.#source[this.#at];
    if (letter === undefined) throw this.#bad("a backslash");
    const escaped = ESCAPES[letter];
    if (escaped === undefined && /[A-Za-z0-9]/.test(letter)) return undefined;
    const code = escaped ?? this.#source.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #namedClass(): Accepts {
    const letter = this.#source[this.#at++]!;
    if (letter === "p" || letter === "P") {
      const named = /^(?:\{(\^?)([A-Za-z_=]+)\}|()([A-Z]))/.exec(
        this.#source.slice(this.#at, this.#at + 40),
      );
      if (named === null) throw this.#bad("a property");
      this.#at += named[0].length;
      const negative = (letter === "P") !== (named[1] === "^");
      return this.#property(`\\p{${named[2] ?? named[4]}}`, negative);
    }
    const body = CLASSES[letter.toLowerCase()];
    if (body === undefined) throw this.#bad(`\\${letter}`);
    return this.#property(body, letter !== letter.toLowerCase());
  }

  #property(body: string, negative: boolean): Accepts {
    const known = this.#classes.get(body) ?? namedClass(body);
    this.#classes.set(body, known);
    return negative ? (code) => !known(code) : known;
  }
}

/** A class of Unicode, by what stands between brackets. */
function namedClass(body: string): Accepts {
  let pattern: RegExp;
  try {
    pattern = new RegExp(`[${body}]`, "u");
  } catch (cause) {
    throw new PronkError("unsupported", `tokenizer: split pattern: ${body}`, { cause });
  }
  const known = new Uint8Array(0x10000);
  return (code) => {
    let found = code < 0x10000 ? known[code]! : 0;
    if (found === 0) {
      // A lone surrogate is U+FFFD in UTF-8.
      const valid = code >= 0xd800 && code < 0xe000 ? 0xfffd : code;
      found = pattern.test(String.fromCodePoint(valid)) ? 2 : 1;
      if (code < 0x10000) known[code] = found;
    }
    return found === 2;
  };
}

function character(accepts: Accepts, steps = 1): PatternNode {
  return { type: "character", accepts, steps };
}

function upperOf(code: number): number {
  const upper = String.fromCodePoint(code).toUpperCase();
  const first = upper.codePointAt(0)!;
  return upper.length === (first > 0xffff ? 2 : 1) ? first : code;
}

function lowerOf(code: number): number {
  return String.fromCodePoint(code).toLowerCase().codePointAt(0)!;
}
