/**
 * Grammars as llama.cpp writes them (GBNF): `root ::= "a" [0-9]+ ("," item){2,4} | other`. Literals in single
 * quotes, block comments and a semicolon at the end of a rule, as other dialects of EBNF have them, are read, too.
 */
import { PronkError } from "../errors.ts";
import { printable } from "../formats/printable.ts";
import {
  type CodePointRanges,
  characters,
  choice,
  type Expression,
  type Grammar,
  invertRanges,
  LAST_CODE_POINT,
  literal,
  repeat,
  rule,
  sequence,
} from "./expression.ts";

/** Bounds time and memory on hostile grammars. */
const MAX_CHARS = 200_000;
const MAX_DEPTH = 100;
const MAX_COUNT = 1_000_000;

/** Of a message, which may repeat a rule's name. */
const MAX_SHOWN = 300;

const NAME = /[a-zA-Z_][a-zA-Z0-9_-]*/y;
const NUMBER = /[0-9]{1,7}/y;
const SPACE = /(?:[ \t]|#[^\n\r]*|\/\*[\s\S]*?\*\/)*/y;
const LINES = /(?:[ \t\r\n]|#[^\n\r]*|\/\*[\s\S]*?\*\/)*/y;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", f: "\f", v: "\v" };
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** @throws PronkError "bad_request" with the line and what is wrong there. */
export function parseGbnf(source: string): Grammar {
  if (source.length > MAX_CHARS) {
    throw new PronkError(
      "bad_request",
      `grammar: ${source.length} characters, at most ${MAX_CHARS}`,
    );
  }
  return new Parser(source).parse();
}

class Parser {
  readonly #source: string;
  readonly #rules: Map<string, Expression> = new Map();
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Grammar {
    let first: string | undefined;
    for (this.#match(LINES); this.#at < this.#source.length; this.#match(LINES)) {
      const name = this.#match(NAME);
      if (name === undefined) throw this.#bad("the name of a rule is missing");
      this.#match(SPACE);
      if (!this.#take("::=")) throw this.#bad(`::= is missing after ${name}`);
      if (this.#rules.has(name)) throw this.#bad(`${name} is defined twice`);
      this.#match(LINES);
      this.#rules.set(name, this.#choice());
      first ??= name;
      this.#match(SPACE);
      this.#take(";");
      this.#match(SPACE);
      if (this.#at < this.#source.length && !/[\r\n]/.test(this.#source[this.#at])) {
        throw this.#bad(`unexpected ${JSON.stringify(this.#source[this.#at])}`);
      }
    }
    if (first === undefined) throw this.#bad("no rule");
    const start = this.#rules.has("root") ? "root" : first;
    return { start, rules: this.#rules };
  }

  #choice(): Expression {
    if (++this.#depth > MAX_DEPTH) throw this.#bad(`more than ${MAX_DEPTH} brackets in each other`);
    const items = [this.#sequence()];
    while (this.#take("|")) {
      this.#match(LINES);
      items.push(this.#sequence());
    }
    this.#depth--;
    return choice(...items);
  }

  #sequence(): Expression {
    const items: Expression[] = [];
    for (;;) {
      this.#skipSpace();
      const item = this.#item();
      if (item === undefined) return sequence(...items);
      items.push(this.#repeated(item));
    }
  }

  #item(): Expression | undefined {
    const [char] = this.#source.slice(this.#at, this.#at + 1);
    if (char === '"' || char === "'") return this.#literal(char);
    if (char === "[") return this.#class();
    if (this.#take(".")) return characters([0, LAST_CODE_POINT]);
    if (this.#take("(")) {
      this.#match(LINES);
      const inner = this.#choice();
      this.#match(LINES);
      if (!this.#take(")")) throw this.#bad(") is missing");
      return inner;
    }
    if (char === "<" || char === "!") throw this.#bad("tokens by name or number are not supported");
    const start = this.#at;
    const name = this.#match(NAME);
    if (name === undefined) return undefined;
    // The next rule's name is no part of this rule.
    this.#match(SPACE);
    const isNext = this.#source.startsWith("::=", this.#at);
    this.#at = isNext ? start : start + name.length;
    return isNext ? undefined : rule(name);
  }

  #repeated(item: Expression): Expression {
    let result = item;
    for (;;) {
      if (this.#take("*")) result = repeat(result, 0, Number.POSITIVE_INFINITY);
      else if (this.#take("+")) result = repeat(result, 1, Number.POSITIVE_INFINITY);
      else if (this.#take("?")) result = repeat(result, 0, 1);
      else if (this.#take("{")) result = this.#counted(result);
      else return result;
    }
  }

  #counted(item: Expression): Expression {
    this.#match(SPACE);
    const min = this.#number();
    this.#match(SPACE);
    let max = min;
    if (this.#take(",")) {
      this.#match(SPACE);
      max = this.#number() ?? Number.POSITIVE_INFINITY;
      this.#match(SPACE);
    }
    if (!this.#take("}")) throw this.#bad("} is missing");
    if (max === undefined) throw this.#bad("a count is missing");
    if (max < (min ?? 0)) throw this.#bad(`{${min},${max}}: at most is less than at least`);
    return repeat(item, min ?? 0, max);
  }

  #number(): number | undefined {
    const digits = this.#match(NUMBER);
    if (digits === undefined) return undefined;
    const value = Number(digits);
    if (value > MAX_COUNT) throw this.#bad(`a count of ${value}, at most ${MAX_COUNT}`);
    return value;
  }

  #literal(quote: string): Expression {
    this.#at++;
    let text = "";
    for (;;) {
      if (this.#at >= this.#source.length || this.#source[this.#at] === "\n") {
        throw this.#bad(`${quote} is missing at the end of a literal`);
      }
      if (this.#take(quote)) return literal(text);
      text += String.fromCodePoint(this.#character());
    }
  }

  #class(): Expression {
    this.#at++;
    const negative = this.#take("^");
    const ranges: [number, number][] = [];
    while (!this.#take("]")) {
      if (this.#at >= this.#source.length) throw this.#bad("] is missing");
      const from = this.#character();
      let to = from;
      if (this.#source[this.#at] === "-" && this.#source[this.#at + 1] !== "]") {
        this.#at++;
        to = this.#character();
      }
      if (to < from) throw this.#bad("a range that ends before it begins");
      ranges.push([from, to]);
    }
    const all: CodePointRanges = negative ? invertRanges(ranges) : ranges;
    return characters(...all);
  }

  #character(): number {
    if (!this.#take("\\")) {
      const code = this.#source.codePointAt(this.#at)!;
      this.#at += code > 0xffff ? 2 : 1;
      return this.#codePoint(code);
    }
    const escaped = this.#source[this.#at++] ?? "";
    const digits = HEX_DIGITS[escaped];
    if (digits === undefined) return (ESCAPES[escaped] ?? escaped).codePointAt(0) ?? this.#end();
    const hex = this.#source.slice(this.#at, this.#at + digits);
    if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < digits) {
      throw this.#bad(`\\${escaped} needs ${digits} hexadecimal digits`);
    }
    this.#at += digits;
    return this.#codePoint(Number.parseInt(hex, 16));
  }

  #codePoint(code: number): number {
    if (code > LAST_CODE_POINT || (code >= 0xd800 && code <= 0xdfff)) {
      throw this.#bad(`${code.toString(16)} is no character`);
    }
    return code;
  }

  #end(): never {
    throw this.#bad("the grammar ends after \\");
  }

  /** Inside brackets lines may break anywhere. */
  #skipSpace(): void {
    this.#match(this.#depth > 1 ? LINES : SPACE);
    if (this.#depth > 1) return;
    // A line that begins with | goes on with the rule.
    const start = this.#at;
    this.#match(LINES);
    if (this.#source[this.#at] !== "|") this.#at = start;
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #bad(what: string): PronkError {
    const line = this.#source.slice(0, this.#at).split("\n").length;
    return new PronkError("bad_request", `grammar: line ${line}: ${printable(what, MAX_SHOWN)}`, {
      param: "grammar",
    });
  }
}
