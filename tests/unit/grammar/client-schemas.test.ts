/** Schemas as clients send them compile, within the time of a request, and take the values that they are for. */
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import { compileJsonSchema } from "../../../src/grammar/json-schema/compile-json-schema.ts";
import { ZOD_PATTERNS } from "../../../src/grammar/json-schema/formats.ts";
import { GrammarMatcher } from "../../../src/grammar/matcher.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { buildTokenTrie } from "../../../src/grammar/token-trie.ts";
import { joinTexts } from "../../support/join-texts.ts";
import { chanceOf } from "../../support/random-schemas.ts";
import { schemaValidator } from "../../support/schema-validator.ts";
import { PYTHON_SCHEMAS } from "./python-schemas.ts";

const TEXTS = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
const MASKS = new TokenMasks(buildTokenTrie(joinTexts(TEXTS)));
const encoder = new TextEncoder();

const compile = (schema: unknown) => compileGrammar(compileJsonSchema(schema));

function takes(schema: unknown, text: string): boolean {
  const matcher = new GrammarMatcher(compile(schema), MASKS);
  try {
    matcher.accept(encoder.encode(text));
    return matcher.complete;
  } catch {
    return false;
  }
}

/** Texts of a string schema, without the quotes, as random bytes find them. */
function writtenBy(schema: unknown, count: number): string[] {
  const grammar = compile(schema);
  const chance = chanceOf(11);
  const found: string[] = [];
  for (let tries = 0; found.length < count && tries < 4 * count; tries++) {
    const matcher = new GrammarMatcher(grammar, MASKS);
    const bytes: number[] = [];
    while (bytes.length < 400 && !matcher.finished) {
      const allowed = new Uint32Array(8);
      matcher.addAllowed(allowed);
      const ids = TEXTS.flatMap((_, id) => ((allowed[id >>> 5] >>> (id & 31)) & 1 ? [id] : []));
      const quote = ids.includes(0x22) && bytes.length > 0 && chance.is(0.2);
      const byte = quote ? 0x22 : chance.pick(ids);
      matcher.accept(TEXTS[byte]);
      bytes.push(byte);
    }
    if (matcher.complete) found.push(JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes))));
  }
  return found;
}

const Category: z.ZodType = z.object({
  name: z.string(),
  get subcategories() {
    return z.array(Category);
  },
});

/** What zod makes, and a value of it. */
const ZOD: Readonly<Record<string, readonly [z.ZodType, unknown]>> = {
  "an object": [z.object({ name: z.string(), age: z.int() }), { name: "Ana", age: 3 }],
  "a strict object": [z.strictObject({ a: z.string() }), { a: "x" }],
  "a loose object": [z.looseObject({ a: z.string() }), { a: "x", more: 1 }],
  "a catchall": [z.object({ a: z.string() }).catchall(z.number()), { a: "x", b: 2 }],
  optional: [z.object({ a: z.string().optional(), b: z.boolean() }), { b: true }],
  nullable: [z.object({ a: z.string().nullable() }), { a: null }],
  "a default": [z.object({ a: z.string().default("x") }), { a: "y" }],
  "an enum": [z.enum(["red", "green"]), "green"],
  literals: [z.literal(["a", 1, true]), 1],
  "a discriminated union": [
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("a"), x: z.string() }),
      z.object({ kind: z.literal("b"), y: z.number() }),
    ]),
    { kind: "b", y: 0.5 },
  ],
  "a union": [z.union([z.string(), z.number(), z.object({ a: z.string() })]), { a: "x" }],
  "an intersection": [
    z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })),
    { a: "x", b: 1 },
  ],
  "a record": [z.record(z.string(), z.number()), { anything: 1 }],
  "a record of an enum": [z.record(z.enum(["a", "b"]), z.number()), { a: 1, b: 2 }],
  "a partial record": [z.partialRecord(z.enum(["a", "b"]), z.number()), { b: 2 }],
  "a tuple": [z.tuple([z.string(), z.number()]), ["x", 1]],
  "a tuple with more": [z.tuple([z.string()], z.boolean()), ["x", true, false]],
  "an array": [z.array(z.string()).min(1).max(3), ["x"]],
  recursion: [
    Category as z.ZodType,
    { name: "a", subcategories: [{ name: "b", subcategories: [] }] },
  ],
  "a text of a length": [z.string().min(2).max(5), "abc"],
  "a start and an end": [z.string().startsWith("ab").endsWith("yz"), "abyz"],
  "a part": [z.string().includes("foo").min(3), "a foo"],
  "two patterns": [z.string().regex(/^a+/).regex(/b+$/), "ab"],
  "small letters": [z.string().lowercase(), "abc"],
  "an email": [z.email(), "a.b@c.org"],
  "a uuid": [z.uuid(), "5b3b0f5e-3c5f-4b8e-9f7b-0d9d6c1b2a3e"],
  "a url": [z.url(), "https://a.org/b"],
  "a date": [z.iso.date(), "2024-05-31"],
  "a time": [z.iso.datetime(), "2024-05-31T10:20:30Z"],
  "a time with offsets": [z.iso.datetime({ offset: true }), "2024-05-31T10:20:30+01:00"],
  "a duration": [z.iso.duration(), "P3D"],
  addresses: [z.object({ a: z.ipv4(), b: z.cidrv4() }), { a: "1.2.3.4", b: "10.0.0.0/8" }],
  "a hostname": [z.hostname(), "a.example.org"],
  "an id": [z.nanoid(), "V1StGXR8_Z5jdHi6B-myT"],
  base64: [z.base64(), "aGVsbG8="],
  emoji: [z.emoji(), "😀"],
  "a positive number": [z.number().positive().max(10), 2.5],
  "a multiple": [z.number().multipleOf(0.5), 2.5],
  "an integer of 32 bits": [z.int32(), -7],
  never: [z.object({ a: z.never().optional(), b: z.string() }), { b: "x" }],
  anything: [z.any(), { a: [1, null] }],
};

describe("zod", () => {
  for (const [name, [type, value]] of Object.entries(ZOD)) {
    test.each(["draft-2020-12", "draft-7"] as const)(`${name}, %s`, (target) => {
      const schema = z.toJSONSchema(type, { target });
      expect([schema, takes(schema, JSON.stringify(value))]).toEqual([schema, true]);
      expect(schemaValidator(schema)(JSON.stringify(value))).toBe(undefined);
    });
  }

  test("its patterns beside a format have texts that are of both", () => {
    for (const [pattern, { format }] of ZOD_PATTERNS) {
      const schema = { type: "string", pattern, format };
      const known = format === "emoji" ? { type: "string", pattern } : schema;
      const problem = schemaValidator(known);
      const texts = writtenBy(schema, 60);
      expect(texts.length).toBeGreaterThan(20);
      for (const text of texts) {
        expect([text, problem(JSON.stringify(text))]).toEqual([text, undefined]);
      }
    }
  });

  test("has the patterns that are known here", () => {
    const types = [z.email(), z.iso.date(), z.iso.datetime(), z.iso.duration(), z.ipv6()];
    for (const type of [...types, z.emoji(), z.hostname()]) {
      expect(ZOD_PATTERNS.has(String(z.toJSONSchema(type).pattern))).toBe(true);
    }
  });
});

describe("pydantic, LangChain, OpenAI's strict mode", () => {
  for (const [name, { schema, value }] of Object.entries(PYTHON_SCHEMAS)) {
    test(name, () => {
      expect(takes(schema, JSON.stringify(value))).toBe(true);
      expect(schemaValidator(schema)(JSON.stringify(value))).toBe(undefined);
    });
  }
});
