import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as z from "zod/mini";
import { toJsonSchema } from "../../../src/server/openapi/json-schema.ts";

/** As zod itself converts it. */
function byZod(schema: z.core.$ZodType): unknown {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest;
}

const modules = await Promise.all(
  readdirSync("src/server/schemas").map(
    async (file) => [file, await import(`../../../src/server/schemas/${file}`)] as const,
  ),
);
const schemas = modules.flatMap(([file, module]) =>
  Object.entries(module as object).flatMap(([name, value]) =>
    typeof value === "object" && "_zod" in value ? [[`${file} ${name}`, value] as const] : [],
  ),
);

describe("the server's schemas become what zod's own converter makes of them", () => {
  test("there are some", () => expect(schemas.length).toBeGreaterThan(10));
  test.each(schemas)("%s", (_, schema) => {
    expect(toJsonSchema(schema)).toEqual(byZod(schema));
  });
});

describe("kinds and checks become what zod's own converter makes of them", () => {
  test.each<[string, z.core.$ZodType]>([
    ["an integer with an open bound", z.int().check(z.gt(3), z.lt(9))],
    ["a number", z.number()],
    [
      "a text with lengths and a pattern",
      z.string().check(z.minLength(2), z.maxLength(4), z.regex(/^a/)),
    ],
    ["a list with lengths", z.array(z.int()).check(z.minLength(1), z.maxLength(4))],
    ["several literals", z.literal(["a", "b"])],
    ["an optional object that may be null", z.object({ a: z.nullish(z.object({ b: z.null() })) })],
    ["a union", z.union([z.string(), z.array(z.string())])],
    [
      "a union by a field",
      z.discriminatedUnion("k", [z.object({ k: z.literal("x") }), z.object({ k: z.literal("y") })]),
    ],
    ["a record", z.record(z.string().check(z.maxLength(3)), z.number())],
  ])("%s", (_, schema) => {
    expect(toJsonSchema(schema)).toEqual(byZod(schema));
  });
});

test.each<[string, z.core.$ZodType, string]>([
  ["a kind", z.map(z.string(), z.string()), "map"],
  ["a check", z.string().check(z.trim()), "overwrite"],
])("%s that is not known is refused by name", (_, schema, name) => {
  expect(() => toJsonSchema(schema)).toThrow(name);
});
