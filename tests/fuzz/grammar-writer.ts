/** Regular expressions, GBNF and JSON Schemas by chance, with the numbers at which limits lie. */
import type { Random } from "./random.ts";

const CHARACTERS = [
  "a",
  "b",
  "ab",
  ".",
  "\\d",
  "\\w",
  "\\s",
  "\\S",
  "\\W",
  "[a-c]",
  "[^a]",
  "[^]",
  "[]",
  "é",
  "\\u{1f600}",
  "\\u0041",
];
const PROPERTIES = [
  ...[
    "L",
    "Lu",
    "N",
    "P",
    "Any",
    "Script=Greek",
    "sc=Han",
    "scx=Cyrl",
    "Emoji",
    "ASCII",
    "Cs",
    "Alphabetic",
  ],
  ...[
    "gc=Lm",
    "Script=Latin",
    "Script=Thai",
    "Uppercase",
    "White_Space",
    "Cn",
    "XID_Start",
    "Nope",
    "General_Category=Mn",
  ],
];
const COUNTS = [0, 1, 2, 3, 7, 20, 99, 1000, 9999, 100_000, 100_001, 999_999_999];

function counts(random: Random): string {
  const [a, b] = [random.pick(COUNTS), random.pick(COUNTS)].sort((x, y) => x - y);
  return random.pick([
    "*",
    "+",
    "?",
    "*?",
    `{${a}}`,
    `{${a},}`,
    `{${a},${b}}`,
    "{2}",
    "{0,3}",
    "{1,99}",
  ]);
}

export function regex(random: Random, depth = 3): string {
  const inner = (): string => regex(random, depth - 1);
  switch (random.below(depth > 0 ? 12 : 3)) {
    case 0:
    case 1:
      return random.pick(CHARACTERS);
    case 2:
      return `\\${random.pick("pP".split(""))}{${random.pick(PROPERTIES)}}`;
    case 3:
    case 4:
    case 5:
      return inner() + inner();
    case 6:
    case 7:
      return `(${inner()}|${inner()})`;
    case 8:
      return `(?:${inner()})${counts(random)}`;
    case 9:
      return (
        random.pick([".*", "^", "$", "(?=", "(?!", "(?<n>"]) + inner() + random.pick(["", ")"])
      );
    default:
      return random.pick(CHARACTERS) + counts(random);
  }
}

function item(random: Random, depth: number): string {
  const inner = (): string => item(random, depth - 1);
  switch (random.below(depth > 0 ? 9 : 4)) {
    case 0:
    case 1:
      return `r${random.below(6)}`;
    case 2:
      return random.pick(['"a"', '"ab"', "[a-c]", "[^\\n]", '""', '"é"', ".", "[0-9]"]);
    case 3:
      return random.pick(['"a"', '"b"', '"("', "ws"]);
    case 4:
      return `(${inner()} | ${inner()})`;
    case 5:
      return `(${inner()})${counts(random).replace("*?", "*")}`;
    case 6:
      return `${inner()} | ${inner()}`;
    default:
      return `${inner()} ${inner()}`;
  }
}

export function gbnfRule(random: Random, name = `r${random.below(6)}`): string {
  return `${name} ::= ${item(random, 3)}\n`;
}

const TYPES = ["string", "integer", "number", "object", "array", "boolean", "null"];
const NAMES = ["a", "b", "name", "", "__proto__", "x y", "é", "$ref", "type", 'q"'];
const FORMATS = [
  "date",
  "date-time",
  "email",
  "uuid",
  "ipv4",
  "ipv6",
  "uri",
  "hostname",
  "duration",
  "byte",
  "x",
];

/** One keyword with a value that it may have, or nearly. */
function keyword(random: Random, depth: number): [string, unknown] {
  const one = (): unknown => schema(random, depth - 1);
  const list = (most = 3): unknown[] => Array.from({ length: random.below(most + 1) }, one);
  const map = (name: () => string): unknown =>
    Object.fromEntries(Array.from({ length: random.below(4) }, () => [name(), one()]));
  const count = (): unknown => random.pick([...COUNTS, -1, 1.5, 1e21, Number.MAX_VALUE, "1"]);
  const value = (): unknown =>
    random.pick([null, true, 0, 1.5, "", "a", [], {}, [1, "a"], { a: 1 }, 1e21, "é\u2028"]);
  const ref = (): unknown =>
    random.pick([
      "#",
      "#/$defs/a",
      "#/$defs/b",
      "#/properties/a",
      "#/$defs/none",
      "#x",
      "http://h/x",
      "#/$defs/a~1b",
      5,
    ]);
  return random.pick<() => [string, unknown]>([
    () => [
      "type",
      random.chance(0.8) ? random.pick(TYPES) : [random.pick(TYPES), random.pick(TYPES)],
    ],
    () => ["properties", map(() => random.pick(NAMES))],
    () => ["patternProperties", map(() => regex(random, 2))],
    () => ["additionalProperties", random.chance(0.4) ? random.chance(0.5) : one()],
    () => ["propertyNames", one()],
    () => ["required", [random.pick(NAMES), random.pick(NAMES)]],
    () => ["items", random.chance(0.2) ? false : one()],
    () => ["prefixItems", list()],
    () => ["contains", one()],
    () => [random.pick(["minItems", "maxItems", "minContains", "maxContains"]), count()],
    () => [random.pick(["minLength", "maxLength", "minProperties", "maxProperties"]), count()],
    () => ["uniqueItems", true],
    () => ["pattern", regex(random, 3)],
    () => ["format", random.pick(FORMATS)],
    () => [
      random.pick(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
      count(),
    ],
    () => ["enum", Array.from({ length: random.pick([0, 1, 3, 40]) }, value)],
    () => ["const", value()],
    () => [random.pick(["anyOf", "oneOf", "allOf"]), list(4)],
    () => [
      random.pick(["not", "if", "then", "else", "dependentSchemas", "unevaluatedProperties"]),
      one(),
    ],
    () => ["$ref", ref()],
    () => ["$defs", { a: one(), b: one() }],
    () => ["dependentRequired", { a: ["b"] }],
  ])();
}

export function schema(random: Random, depth = 2): unknown {
  if (depth < 0 || random.chance(0.1))
    return random.pick([true, false, {}, { type: "null" }, { type: "string" }, { $ref: "#" }]);
  return Object.fromEntries(
    Array.from({ length: random.between(1, 4) }, () => keyword(random, depth)),
  );
}

/** A schema with one keyword more, or other, somewhere inside. */
export function editSchema(of: unknown, random: Random, depth = 4): unknown {
  if (typeof of !== "object" || of === null) return schema(random);
  if (Array.isArray(of)) {
    if (of.length === 0) return [schema(random)];
    const at = random.below(of.length);
    return of.map((one, i) => (i === at ? editSchema(one, random, depth - 1) : one));
  }
  const entries = Object.entries(of).filter(
    ([, value]) => typeof value === "object" && value !== null,
  );
  if (depth > 0 && entries.length > 0 && random.chance(0.6)) {
    const [name, value] = random.pick(entries);
    return { ...of, [name]: editSchema(value, random, depth - 1) };
  }
  const [name, value] = keyword(random, 2);
  return { ...of, [name]: value };
}
