import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { type CompiledGrammar, compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import { compileJsonSchema } from "../../../src/grammar/json-schema/compile-json-schema.ts";
import { GrammarMatcher } from "../../../src/grammar/matcher.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { buildTokenTrie } from "../../../src/grammar/token-trie.ts";
import { joinTexts } from "../../support/join-texts.ts";
import { type Chance, chanceOf, randomSchema } from "../../support/random-schemas.ts";
import { matcherAfter, vocabularyOf } from "./byte-vocabulary.ts";

const compile = (schema: unknown): CompiledGrammar => compileGrammar(compileJsonSchema(schema));

function validator(schema: object): ValidateFunction {
  const ajv = new Ajv2020({ strict: false, code: { optimize: false } });
  formats.default(ajv);
  return ajv.compile(schema);
}

/** Every byte, and what tokens of real vocabularies look like: they go across the borders of values. */
const WORDS = [
  ...[
    "name",
    "age",
    "true",
    "false",
    "null",
    '": ',
    '","',
    "','",
    '"}',
    "}}",
    "]}",
    "]",
    "},{",
    "[",
    "{",
  ],
  ...[
    "12",
    "0.5",
    "hello",
    "foo",
    "bar",
    "the ",
    "ing",
    '"',
    '\\"',
    "\\u00",
    "😀",
    "é",
    "kind",
    "p_x",
  ],
];
const encoder = new TextEncoder();
const TEXTS = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...WORDS.map((word) => encoder.encode(word)),
];
const TRIE = buildTokenTrie(joinTexts(TEXTS));

/** What a model that knows nothing writes; undefined where it does not come to an end. */
function write(grammar: CompiledGrammar, masks: TokenMasks, chance: Chance): string | undefined {
  const matcher = new GrammarMatcher(grammar, masks);
  const bytes: number[] = [];
  for (let tokens = 0; tokens < 400; tokens++) {
    const allowed = new Uint32Array(Math.ceil(TEXTS.length / 32));
    matcher.addAllowed(allowed);
    const ids = TEXTS.flatMap((_, id) => ((allowed[id >>> 5] >>> (id & 31)) & 1 ? [id] : []));
    if (matcher.complete && (ids.length === 0 || chance.is(0.3))) {
      return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
    }
    if (ids.length === 0) throw new Error("no token may come");
    const closing = ids.filter((id) => '"}]'.includes(String.fromCharCode(TEXTS[id][0])));
    const id = chance.pick(tokens > 60 && closing.length > 0 && chance.is(0.8) ? closing : ids);
    matcher.accept(TEXTS[id]);
    bytes.push(...TEXTS[id]);
  }
  return undefined;
}

describe("whatever is written under a schema is valid", () => {
  const COUNT = 500;
  for (let first = 0; first < COUNT; first += 100) {
    test(`random schemas ${first} to ${first + 99}`, () => {
      let written = 0;
      for (let seed = first; seed < first + 100; seed++) {
        const chance = chanceOf(seed * 7919 + 1);
        const schema = randomSchema(chance);
        let grammar: CompiledGrammar;
        try {
          grammar = compile(schema);
        } catch (error) {
          // Some ask for what no value is.
          expect(error).toBeInstanceOf(PronkError);
          expect((error as PronkError).message).toMatch(/no value|itself/);
          continue;
        }
        const validate = validator(schema);
        const masks = new TokenMasks(TRIE);
        for (let turn = 0; turn < 2; turn++) {
          const text = write(grammar, masks, chance);
          if (text === undefined) continue;
          const isValid = validate(JSON.parse(text));
          expect([isValid ? true : [schema, text, validate.errors]]).toEqual([true]);
          written++;
        }
      }
      expect(written).toBeGreaterThan(170);
    });
  }
});

const { trie } = vocabularyOf(["a"]);

function reads(schema: unknown, text: string): boolean {
  try {
    return matcherAfter(compile(schema), new TokenMasks(trie), text).complete;
  } catch {
    return false;
  }
}

/** A schema, texts that it takes, and texts that it does not. */
const CASES: readonly (readonly [unknown, readonly string[], readonly string[]])[] = [
  [true, ["1", "null", '{"a":[1,{}]}', "[]"], ["", "nul", "{a:1}"]],
  [{}, ['"x"', "-1.5e3", "true"], ["'x'"]],
  [{ type: "string" }, ['""', '"a\\n\\u00e9\\""', '"é😀"'], ['"\n"', '"\\x"', '"\\ud800"', "a"]],
  [{ type: "string", maxLength: 2 }, ['"é😀"', '"\\u00e9b"'], ['"abc"']],
  [{ type: "integer" }, ["0", "-7", "12345678"], ["1.5", "01", "+1", "1e3"]],
  [{ type: ["integer", "null"] }, ["3", "null"], ["true"]],
  [{ type: "integer", nullable: true }, ["3", "null"], ['"3"']],
  [{ enum: ["a", 'b"', 3, null] }, ['"a"', '"b\\""', "3", "null"], ['"c"', "33"]],
  [{ type: "string", enum: ["a", 3] }, ['"a"'], ["3"]],
  [{ const: { b: 1, a: [true] } }, ['{"b":1,"a":[true]}'], ["{}"]],
  [
    {
      type: "object",
      properties: { a: { type: "integer" }, b: { type: "boolean" } },
      required: ["b"],
    },
    ['{"a": 1, "b": true}', '{"a":1,"b":false}', '{"b":true}'],
    ["{}", '{"b":true,"a":1}', '{"a":1}', '{"b":true,"c":1}', '{"b":true,}'],
  ],
  [
    { type: "object", additionalProperties: { type: "integer" } },
    ["{}", '{"x":1, "y":2}'],
    ['{"x":"1"}'],
  ],
  [
    { properties: { ab: { type: "null" } }, additionalProperties: { type: "integer" } },
    ['{"ab":null,"a":1,"abc":2}', '{"b":1}', '{"":0}'],
    ['{"ab":1}', '{"ab":null,"ab":1}', '{"a\\u0062":1}'],
  ],
  [
    { type: "array", items: { type: "null" }, minItems: 1, maxItems: 2 },
    ["[null]", "[null, null]"],
    ["[]"],
  ],
  [
    { type: "array", prefixItems: [{ const: 1 }, { const: 2 }] },
    ["[1, 2]"],
    ["[1]", "[2,1]", "[1,2,3]"],
  ],
  [{ items: [{ const: 1 }], additionalItems: { const: 2 } }, ["[1]", "[1,2,2]"], ["[2]", "[1,1]"]],
  [{ items: { enum: ["a", "b"] }, uniqueItems: true }, ["[]", '["a","b"]', '["b"]'], ['["a","a"]']],
  [{ $ref: "#/$defs/n", $defs: { n: { type: "null" } } }, ["null"], ["1"]],
  [
    {
      $defs: { tree: { type: "array", items: { $ref: "#/$defs/tree" } } },
      $ref: "#/$defs/tree",
    },
    ["[]", "[[[],[]],[]]"],
    ["[", "[[]", "[1]"],
  ],
  [{ definitions: { a: { $anchor: "y", const: 1 } }, allOf: [{ $ref: "#y" }] }, ["1"], ["2"]],
  [
    { $ref: "#/$defs/n", maximum: 5, $defs: { n: { type: "integer", minimum: 3 } } },
    ["3", "5"],
    ["2", "6"],
  ],
  [{ anyOf: [{ type: "integer" }, { const: "x" }] }, ["1", '"x"'], ['"y"']],
  [
    {
      oneOf: [
        { type: "integer", maximum: 1 },
        { type: "integer", minimum: 2 },
      ],
    },
    ["1", "2"],
    ["1.5"],
  ],
  [{ type: "integer", multipleOf: 5, minimum: 1, maximum: 12 }, ["5", "10"], ["0", "7", "15"]],
  [{ type: "string", format: "date" }, ['"2024-01-31"'], ['"2024-02-30"', '"2024-1-1"']],
  [
    { type: "string", format: "uri", minLength: 1, maxLength: 2083 },
    ['"https://a.b.com/x?y=1"'],
    ['"x"'],
  ],
  [{ type: "string", format: "email", maxLength: 12 }, ['"a@b.com"'], ['"abcde@fgh.com"']],
  [{ type: "string", pattern: "^a+$", maxLength: 3 }, ['"a"', '"aaa"'], ['"aaaa"', '""']],
  [{ type: "object", propertyNames: { pattern: "^k" } }, ['{"k1":1}', "{}"], ['{"x":1}']],
  [{ type: "object", properties: { a: false, b: { const: 1 } } }, ["{}", '{"b":1}'], ['{"a":1}']],
  [
    { type: "object", properties: { a: { const: 1 }, b: { const: 2 } }, minProperties: 1 },
    ['{"a":1}', '{"a":1,"b":2}'],
    ["{}"],
  ],
  [
    { type: "string", format: "date", pattern: "^20", maxLength: 12 },
    ['"2024-01-31"'],
    ['"1999-01-31"', '"20"'],
  ],
  [
    { type: "string", allOf: [{ pattern: "^ab.*" }, { pattern: ".*yz$" }] },
    ['"abyz"', '"ab é yz"'],
    ['"abz"', '"xyz"'],
  ],
  [
    { type: "string", pattern: "^(?=.*[A-Z])(?=.*\\d)(?!admin).{4,9}$" },
    ['"abcD3"', '"A1A1"'],
    ['"abcd3"', '"admin1A"', '"A1"'],
  ],
  [
    { type: "string", not: { enum: ["a", "bc"] } },
    ['"b"', '""', '"abc"'],
    ['"a"', '"\\u0061"', '"bc"'],
  ],
  [{ type: "string", not: { pattern: "^x" } }, ['"ax"'], ['"x"', '"xa"']],
  [{ type: "integer", not: { const: 0 } }, ["1", "10"], ["0", "-0"]],
  [{ enum: ["a", 1, null], not: { type: "null" } }, ['"a"', "1"], ["null"]],
  [{ not: { type: ["object", "array", "number"] } }, ['"a"', "true", "null"], ["1", "[]"]],
  [{ type: "object", properties: { a: { not: {} }, b: { const: 1 } } }, ['{"b":1}'], ['{"a":1}']],
  [
    { type: "array", items: { type: "integer" }, contains: { minimum: 5 } },
    ["[5]", "[7,1,2]"],
    ["[]", "[1]"],
  ],
  [
    { type: "array", items: { type: "string" }, uniqueItems: true, minItems: 1 },
    ['["a"]', '["Ab","b","0"]'],
    ["[]", '["a","a"]', '["b","a"]'],
  ],
  [{ type: "array", items: { type: "integer" }, uniqueItems: true }, ["[]", "[1,22]"], ["[2,2]"]],
  [{ type: "number", multipleOf: 0.25, minimum: 0 }, ["1", "0.5", "7.25"], ["0.3", "1.125"]],
  [{ type: "integer", multipleOf: 5 }, ["0", "15"], ["7"]],
  [
    { propertyNames: { enum: ["a", "b"] }, additionalProperties: { const: 1 }, required: ["a"] },
    ['{"a":1}', '{"a":1,"b":1}'],
    ['{"b":1}', '{"a":1,"c":1}'],
  ],
  [
    {
      properties: { a: { const: 1 } },
      propertyNames: { pattern: "^[ab]" },
      additionalProperties: {},
    },
    ['{"a":1,"b2":null}', "{}"],
    ['{"c":1}', '{"a":2}'],
  ],
  [
    {
      patternProperties: { "^n": { type: "null" }, "^b": { type: "boolean" } },
      additionalProperties: { const: 1 },
    },
    ['{"n":null,"b":true,"x":1}'],
    ['{"n":1}', '{"b":1}', '{"x":null}'],
  ],
  [
    {
      type: "object",
      properties: { kind: { enum: ["a", "b"] }, size: { type: "integer" } },
      required: ["kind"],
      if: { properties: { kind: { const: "a" } }, required: ["kind"] },
      // biome-ignore lint/suspicious/noThenProperty: the keyword's name
      then: { required: ["size"] },
      else: { properties: { size: false } },
    },
    ['{"kind":"a","size":1}', '{"kind":"b"}'],
    ['{"kind":"a"}', '{"kind":"b","size":1}'],
  ],
  [
    {
      type: "object",
      properties: { card: { type: "null" }, address: { type: "null" } },
      dependentSchemas: { card: { required: ["address"] } },
    },
    ["{}", '{"card":null,"address":null}', '{"address":null}'],
    ['{"card":null}'],
  ],
  [
    {
      oneOf: [
        { type: "object", properties: { a: { const: 1 } }, required: ["a"] },
        { type: "object", properties: { b: { const: 1 } }, required: ["b"] },
      ],
    },
    ['{"a":1}', '{"b":1}'],
    ['{"a":1,"b":1}', "{}"],
  ],
  [
    {
      allOf: [{ properties: { a: { const: 1 } } }],
      properties: { b: { const: 2 } },
      unevaluatedProperties: false,
    },
    ['{"b":2,"a":1}', '{"b":2}', "{}"],
    ['{"c":1}'],
  ],
  [
    {
      allOf: [
        { properties: { a: { minimum: 2 } }, required: ["a"] },
        { properties: { a: { type: "integer" } } },
      ],
    },
    ['{"a":2}'],
    ['{"a":1}', "{}"],
  ],
];

describe("a schema", () => {
  for (const [schema, texts, others] of CASES) {
    test(JSON.stringify(schema), () => {
      const all = [...texts, ...others];
      expect(all.filter((text) => reads(schema, text))).toEqual(texts);
      const validate = typeof schema === "boolean" ? () => schema : undefined;
      for (const text of texts) {
        const check = validate ?? validator(draft2020(schema as object));
        expect([text, check(JSON.parse(text))]).toEqual([text, true]);
      }
    });
  }
});

/** Tuples as the newest draft spells them. */
function draft2020(schema: object): object {
  const { items, additionalItems, ...rest } = schema as Record<string, unknown>;
  if (!Array.isArray(items)) return schema;
  return { ...rest, prefixItems: items, items: additionalItems ?? true };
}

describe("what cannot be made sure of is refused by name and place", () => {
  const refused: readonly (readonly [unknown, string])[] = [
    [
      { properties: { a: { $dynamicRef: "#" } } },
      "schema at /properties/a: keyword $dynamicRef is not supported",
    ],
    [{ items: { contains: {}, maxContains: 2 } }, "schema at /items: keyword maxContains"],
    [{ not: { minimum: 3 } }, "the opposite of minimum is not supported"],
    [{ type: "number", not: { const: 1 } }, "not of a value of type number"],
    [{ not: {} }, "no value"],
    [{ maxLenght: 3 }, "keyword maxLenght"],
    [{ type: "array", uniqueItems: true }, "uniqueItems"],
    [{ type: "array", items: { type: "object" }, uniqueItems: true }, "uniqueItems but of"],
    [
      { oneOf: [{ type: "integer" }, { type: "number" }] },
      "oneOf: a value might be both number 0 and number 1",
    ],
    [{ type: "string", format: "regex" }, "format regex is not known"],
    [{ type: "string", pattern: "(?=a)" }, "look-around"],
    [{ type: "number", multipleOf: -1 }, "multipleOf -1"],
    [{ type: "strin" }, "type strin"],
    [{ $ref: "other.json" }, "outside the schema"],
    [{ $ref: "#/$defs/none" }, "leads nowhere"],
    [{ $ref: "#" }, "no value"],
    [{ properties: JSON.parse('{"__proto__":{}}') }, "a property __proto__ is not supported"],
    [{ type: "string", minLength: -1 }, "minLength is -1"],
    [{ type: "string", minLength: 3, maxLength: 2 }, "no value"],
    [{ type: "object", required: ["a"], properties: { a: false } }, "no value"],
    [{ properties: [] }, "properties is no object of schemas"],
    [{ type: "integer", multipleOf: 1.7e308 }, "numbers cannot tell"],
    [{ type: "integer", multipleOf: 3, minimum: 1e300 }, "numbers cannot tell"],
    [{ enum: ["a"], not: { pattern: "(" } }, ") is missing"],
    [{ enum: "a" }, "enum is no list"],
    [{ allOf: [{ required: ["a"] }, { required: 5 }] }, "required is no list"],
    [{ allOf: [{ enum: ["a"] }, { enum: 5 }] }, "enum is no list"],
    [{ allOf: [{ allOf: [{}], type: "object" }, { allOf: 5 }] }, "allOf is no list"],
    [
      { allOf: [{ properties: JSON.parse('{"__proto__":{}}') }, { properties: { a: {} } }] },
      "a property __proto__ is not supported",
    ],
    ["string", "no schema"],
    [null, "no schema"],
    [undefined, "no schema"],
  ];
  for (const [schema, message] of refused) {
    test(JSON.stringify(schema) ?? "undefined", () => {
      expect(() => compile(schema)).toThrow(message);
    });
  }
});

describe("hostile schemas are bounded", () => {
  test.each(["properties", "required"])("a name of any length in %s", (keyword) => {
    const name = "n\n".repeat(20_000);
    const schema = { type: "object", [keyword]: keyword === "required" ? [name] : { [name]: {} } };
    const wanted = "schema: a property's name of 40000 characters, at most 1000";
    expect(() => compile(schema)).toThrow(wanted);
  });

  const nested = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
    let schema: unknown = { type: "null" };
    for (let i = 0; i < depth; i++) schema = wrap(schema);
    return schema;
  };
  const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `value ${i}`);
  const properties = (count: number): object =>
    Object.fromEntries(many(count).map((name) => [name, { type: "integer" }]));
  const doubling = (levels: number): object => {
    const $defs: Record<string, unknown> = { d0: { type: "null" } };
    for (let i = 1; i <= levels; i++) {
      const ref = { $ref: `#/$defs/d${i - 1}` };
      $defs[`d${i}`] = { type: "array", prefixItems: [ref, ref] };
    }
    return { $ref: `#/$defs/d${levels}`, $defs };
  };
  const hostile: readonly (readonly [string, unknown])[] = [
    ["deep", nested(5000, (inner) => ({ type: "array", items: inner }))],
    ["deep unions", nested(90, (inner) => ({ anyOf: [inner, { type: "string" }] }))],
    ["a huge enum", { enum: many(20_000) }],
    ["many optional properties", { type: "object", properties: properties(2000) }],
    ["references that double", doubling(60)],
    [
      "a large count",
      { type: "array", items: { type: "string", minLength: 9999 }, minItems: 99_999 },
    ],
    ["a large pattern", { type: "string", pattern: "((a{1,99}){1,99}){1,99}" }],
    ["ambiguous patterns", { type: "string", pattern: "^(a|a|aa)*(a*)*$" }],
    [
      "alternatives of alternatives",
      { allOf: Array(8).fill({ anyOf: [{ minimum: 1 }, { minimum: 2 }, { minimum: 3 }] }) },
    ],
    [
      "cycles",
      {
        $ref: "#/$defs/a",
        $defs: { a: { allOf: [{ $ref: "#/$defs/b" }] }, b: { $ref: "#/$defs/a" } },
      },
    ],
  ];
  for (const [name, schema] of hostile) {
    test(name, () => {
      const started = performance.now();
      try {
        const matcher = new GrammarMatcher(compile(schema), new TokenMasks(TRIE));
        for (let i = 0; i < 20; i++) {
          const allowed = new Uint32Array(Math.ceil(TEXTS.length / 32));
          matcher.addAllowed(allowed);
          const id = TEXTS.findIndex((_, k) => (allowed[k >>> 5] >>> (k & 31)) & 1);
          if (id < 0) break;
          matcher.accept(TEXTS[id]);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(PronkError);
      }
      expect(performance.now() - started).toBeLessThan(10_000);
    });
  }
});
