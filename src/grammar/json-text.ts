/**
 * How JSON is written: on one line, with at most one space behind a comma or a colon. Models that may write any white
 * space sometimes write nothing else.
 */
import {
  characters,
  choice,
  type Expression,
  invertRanges,
  literal,
  normalizeRanges,
  optional,
  repeat,
  rule,
  sequence,
} from "./expression.ts";

const SPACE: Expression = optional(literal(" "));
export const COMMA: Expression = sequence(literal(","), SPACE);
export const COLON: Expression = sequence(literal(":"), SPACE);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Up to here JSON has escapes only. */
const LAST_CONTROL = 0x1f;
const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  8: "\\b",
  9: "\\t",
  10: "\\n",
  12: "\\f",
  13: "\\r",
  [QUOTE]: '\\"',
  [BACKSLASH]: "\\\\",
};

const hex: Expression = characters([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);

/** A character between the quotes; halves of surrogate pairs are not escaped, so that each is one code point. */
const STRING_CHARACTER: Expression = choice(
  characters(
    ...invertRanges([
      [0, LAST_CONTROL],
      [QUOTE, QUOTE],
      [BACKSLASH, BACKSLASH],
    ]),
  ),
  sequence(
    literal("\\"),
    choice(
      characters(...[...'"\\/bfnrt'].map((c) => [c.charCodeAt(0), c.charCodeAt(0)] as const)),
      sequence(
        literal("u"),
        choice(
          sequence(
            characters([0x30, 0x39], [0x41, 0x43], [0x61, 0x63], [0x45, 0x46], [0x65, 0x66]),
            hex,
          ),
          sequence(characters([0x44, 0x44], [0x64, 0x64]), characters([0x30, 0x37])),
        ),
        hex,
        hex,
      ),
    ),
  ),
);

/** A string of so many characters. */
export function quotedString(min = 0, max: number = Number.POSITIVE_INFINITY): Expression {
  return sequence(literal('"'), repeat(rule("character"), min, max), literal('"'));
}

/** A string whose text matches; each character is written in its shortest form. */
export function quoted(text: Expression): Expression {
  return sequence(literal('"'), escaped(text), literal('"'));
}

function escaped(text: Expression): Expression {
  switch (text.type) {
    case "literal":
      return literal(JSON.stringify(new TextDecoder().decode(text.bytes)).slice(1, -1));
    case "class": {
      const special = [QUOTE, BACKSLASH, ...Array.from({ length: LAST_CONTROL + 1 }, (_, i) => i)];
      const isIn = (code: number): boolean =>
        text.ranges.some(([from, to]) => code >= from && code <= to);
      const plain = invertRanges(
        normalizeRanges([...invertRanges(text.ranges), ...special.map((c) => [c, c] as const)]),
      );
      const escapes = special.filter(isIn).map((code) => literal(escapeOf(code)));
      return choice(...(plain.length > 0 ? [characters(...plain)] : []), ...escapes);
    }
    case "sequence":
    case "choice":
      return { type: text.type, items: text.items.map(escaped) };
    case "repeat":
      return { ...text, item: escaped(text.item) };
    case "both":
    case "except":
      // Each text is written in one way: what two have in common stays so.
      return { type: text.type, item: escaped(text.item), filter: escaped(text.filter) };
    case "list":
    case "rule":
      return text;
  }
}

function escapeOf(code: number): string {
  return SHORT_ESCAPES[code] ?? `\\u${code.toString(16).padStart(4, "0")}`;
}

/** Digits of integers and fractions: what a double keeps of them. */
const MAX_DIGITS = 15;
const digit: Expression = characters([0x30, 0x39]);

export const INTEGER: Expression = sequence(
  optional(literal("-")),
  choice(literal("0"), sequence(characters([0x31, 0x39]), repeat(digit, 0, MAX_DIGITS - 1))),
);

export const NUMBER: Expression = sequence(
  INTEGER,
  optional(sequence(literal("."), repeat(digit, 1, MAX_DIGITS))),
  optional(
    sequence(
      characters([0x45, 0x45], [0x65, 0x65]),
      optional(characters([0x2b, 0x2b], [0x2d, 0x2d])),
      repeat(digit, 1, 2),
    ),
  ),
);

/** Rules for any JSON value, by name; those of a schema have a slash in theirs. */
export const JSON_RULES: ReadonlyMap<string, Expression> = new Map([
  [
    "value",
    choice(
      rule("object"),
      rule("array"),
      rule("string"),
      rule("number"),
      literal("true"),
      literal("false"),
      literal("null"),
    ),
  ],
  ["object", braces(sequence(rule("string"), COLON, rule("value")))],
  ["array", brackets(rule("value"))],
  ["string", quotedString()],
  ["character", STRING_CHARACTER],
  ["number", NUMBER],
]);

/** Those of them that are the same automaton wherever they are used. */
export const CALLED_RULES: readonly string[] = ["value", "object", "array", "string", "number"];

function braces(member: Expression): Expression {
  return sequence(literal("{"), listed(member, 0, Number.POSITIVE_INFINITY), literal("}"));
}

/** An array of `min` to `max` items. */
export function brackets(
  item: Expression,
  min = 0,
  max: number = Number.POSITIVE_INFINITY,
): Expression {
  return sequence(literal("["), listed(item, min, max), literal("]"));
}

/** Items with commas between them. */
export function listed(item: Expression, min: number, max: number): Expression {
  if (max <= 0) return sequence();
  const items = sequence(item, repeat(sequence(COMMA, item), Math.max(0, min - 1), max - 1));
  return min > 0 ? items : optional(items);
}
