/**
 * Where a text stops to be JSON, and what would have gone on: browsers name no place, a line, or a position,
 * each in words of its own. Grammar: RFC 8259.
 */

export interface JsonFault {
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** `expected a value, found object`. */
  readonly message: string;
}

const BLANK = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: which strings must not have
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y;
const WORD = /"[^"\n]{0,20}"?|[\w.+-]{1,20}|[^\s]/uy;

/** What may come next. */
type Wanted = "a value" | "a value or ]" | "a name" | "a name or }" | ":" | "next" | "the end";

/** @returns undefined for a text that is JSON. */
export function jsonFault(text: string): JsonFault | undefined {
  const open: ("}" | "]")[] = [];
  let wanted: Wanted = "a value";
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found !== undefined;
  };
  const takeSign = (sign: string): boolean => {
    const isNext = text[at] === sign;
    if (isNext) at++;
    return isNext;
  };
  const afterValue = (): Wanted => (open.length === 0 ? "the end" : "next");
  for (;;) {
    take(BLANK);
    const closing: "}" | "]" | undefined = open.at(-1);
    if (wanted === "the end" && at === text.length) return undefined;
    if (wanted === "a value" || wanted === "a value or ]") {
      if (wanted === "a value or ]" && takeSign("]")) {
        open.pop();
        wanted = afterValue();
      } else if (takeSign("{")) {
        open.push("}");
        wanted = "a name or }";
      } else if (takeSign("[")) {
        open.push("]");
        wanted = "a value or ]";
      } else if (take(STRING) || take(SCALAR)) wanted = afterValue();
      else break;
    } else if (wanted === "a name" || wanted === "a name or }") {
      if (wanted === "a name or }" && takeSign("}")) {
        open.pop();
        wanted = afterValue();
      } else if (take(STRING)) wanted = ":";
      else break;
    } else if (wanted === ":") {
      if (!takeSign(":")) break;
      wanted = "a value";
    } else if (wanted === "next") {
      if (takeSign(",")) wanted = closing === "}" ? "a name" : "a value";
      else if (closing !== undefined && takeSign(closing)) {
        open.pop();
        wanted = afterValue();
      } else break;
    } else break;
  }
  const lines = text.slice(0, at).split("\n");
  WORD.lastIndex = at;
  const found = WORD.exec(text)?.[0] ?? "the end";
  const expected =
    wanted === "next" ? `, or ${open.at(-1)}` : wanted.replace("a name", "a quoted name");
  return {
    line: lines.length,
    column: (lines.at(-1)?.length ?? 0) + 1,
    message: `expected ${expected}, found ${found}`,
  };
}
