/** Grammars that attack: deep, cyclic, huge, ambiguous, or with automata that grow without end. */
import type { GrammarSpec } from "../../../src/grammar/grammar-compiler.ts";

const many = (count: number, name = "value"): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${i}`);

function nested(depth: number, wrap: (inner: unknown, level: number) => unknown): unknown {
  let schema: unknown = { type: "null" };
  for (let i = 0; i < depth; i++) schema = wrap(schema, i);
  return schema;
}

const optional = (count: number, value: unknown = { type: "integer" }): object => ({
  type: "object",
  properties: Object.fromEntries(many(count).map((name) => [name, value])),
});

function doubling(levels: number): object {
  const $defs: Record<string, unknown> = { d0: { type: "null" } };
  for (let i = 1; i <= levels; i++) {
    const ref = { $ref: `#/$defs/d${i - 1}` };
    $defs[`d${i}`] = { type: "array", prefixItems: [ref, ref] };
  }
  return { $ref: `#/$defs/d${levels}`, $defs };
}

const schemas: Record<string, unknown> = {
  "arrays 5,000 deep": nested(5000, (items) => ({ type: "array", items })),
  "objects 90 deep": nested(90, (a) => ({ type: "object", properties: { a, b: a } })),
  "unions 90 deep": nested(90, (inner) => ({ anyOf: [inner, { type: "string" }] })),
  "an enum of 20,000": { enum: many(20_000) },
  "an enum of 100,000": { enum: many(100_000) },
  "an enum of long texts": { enum: many(400).map((text) => text.repeat(100)) },
  "2,000 optional properties": optional(2000),
  "500 optional objects": optional(500, optional(20)),
  "1,000 alternatives": { anyOf: many(1000).map((name) => optional(3, { const: name })) },
  "1,000 strings of lengths": optional(1000, { type: "string", maxLength: 500 }),
  "references that double": doubling(60),
  "counts of counts": {
    type: "array",
    items: { type: "string", minLength: 9999 },
    minItems: 99_999,
  },
  "lengths of a pattern": { type: "string", pattern: "^(a+b*)+$", minLength: 500, maxLength: 999 },
  "patterns of patterns": {
    allOf: ["a", "b", "c", "d", "e", "f"].map((c) => ({ pattern: `(${c}.*){9}${c}` })),
  },
  "alternatives of alternatives": {
    allOf: Array(8).fill({ anyOf: [{ minimum: 1 }, { minimum: 2 }, { minimum: 3 }] }),
  },
  "conditions of conditions": {
    type: "object",
    allOf: many(12).map((name) => ({
      if: { properties: { [name]: { const: 1 } } },
      // biome-ignore lint/suspicious/noThenProperty: the keyword's name
      then: { required: [name] },
    })),
  },
  "a cycle": {
    $ref: "#/$defs/a",
    $defs: { a: { allOf: [{ $ref: "#/$defs/b" }] }, b: { $ref: "#/$defs/a" } },
  },
  "a condition of itself": { type: "object", if: { $ref: "#" } },
  "what is not itself": { not: { $ref: "#" } },
  "names that match 300 patterns": {
    patternProperties: Object.fromEntries(
      many(300, "p").map((pattern, i) => [`${pattern}[a-z]*x`, { const: i }]),
    ),
  },
  "a name that a pattern tries in a million ways": {
    type: "object",
    properties: { ["a".repeat(60)]: { type: "null" } },
    patternProperties: { "^(a+)+b$": { type: "integer" } },
    additionalProperties: false,
  },
  "a value that a pattern tries in a million ways": {
    enum: ["a".repeat(60), "b"],
    not: { pattern: "^(a|a)*$" },
  },
  "names times patterns": {
    type: "object",
    properties: Object.fromEntries(many(1000).map((name) => [name, {}])),
    patternProperties: Object.fromEntries(many(1000).map((name) => [`${name}.{9}x`, {}])),
  },
  "a set of patterns": {
    type: "array",
    uniqueItems: true,
    items: { type: "string", pattern: "^([a-z]{3,40} ?){1,20}$" },
  },
};

const SCRIPTS =
  "Adlam Ahom Arabic Armenian Avestan Balinese Bamum Batak Bengali Bopomofo Brahmi Braille Buginese Buhid Carian Chakma Cham Cherokee Coptic Cypriot Cyrillic Deseret Dogra Elbasan Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gurmukhi Han Hangul".split(
    " ",
  );

const patterns: Record<string, string> = {
  "catastrophic repeats": "(a+)+(a|a)*(a*)*b",
  "all of \\w{0,1000}": "\\w{0,1000}",
  "states without end": "(.*a.{18}|.*b.{18})c",
  "counts of counts of counts": "((a{1,99}){1,99}){1,99}",
  "counts of ambiguous items": "(a|b|ab|ba){1,5000}",
  "any text": "[^]*",
  "any letters": "[\\p{L}\\p{N}]*",
  "all scripts by all their names": `[${SCRIPTS.flatMap((script) => ["Script", "sc", "scx", "Script_Extensions"].map((name) => `\\p{${name}=${script}}`)).join("")}]+`,
  "looking ahead, ten times": `${"(?=.*[a-c].{5})".repeat(10)}.*`,
};

const gbnf: Record<string, string> = {
  "ambiguous sums": 'root ::= e\ne ::= t | t "+" e | t e\nt ::= "a" | "a" t | "(" e ")"',
  "10,000 rules": `root ::= r0\n${many(9_999, "r")
    .map((_, i) => `r${i} ::= "a" r${i + 1} | "b"`)
    .join("\n")}\nr9999 ::= "c"`,
  "rules that call all rules": `root ::= r0\n${many(60)
    .map(
      (_, i) =>
        `r${i} ::= "a" (${many(60)
          .map((_, k) => `r${k}`)
          .join(" | ")})? "b"`,
    )
    .join("\n")}`,
  "left recursion": 'root ::= root "a" | "b"',
};

const entries = <Value>(
  all: Record<string, Value>,
  spec: (value: Value) => GrammarSpec,
): (readonly [string, GrammarSpec])[] =>
  Object.entries(all).map(([name, value]) => [name, spec(value)] as const);

export const HOSTILE_GRAMMARS: readonly (readonly [string, GrammarSpec])[] = [
  ...entries(schemas, (schema) => ({ type: "json_schema", schema })),
  ...entries(patterns, (pattern) => ({ type: "regex", pattern })),
  ...entries(gbnf, (source) => ({ type: "gbnf", source })),
];
