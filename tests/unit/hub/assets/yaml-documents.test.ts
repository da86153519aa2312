import { describe, expect, test } from "vitest";
import { parseAssetCards } from "../../../../src/hub/assets/parse-asset-cards.ts";
import { parseYamlDocuments } from "../../../../src/hub/assets/yaml-documents.ts";

const parse = (text: string): unknown[] => parseYamlDocuments(text, "cards.yaml");

test("documents without content are left out", () => {
  expect(parse("---\n---\na: 1\n---\n# nothing\n---\nb: [yes, True, ~]\n")).toEqual([
    { a: 1 },
    { b: ["yes", true, null] },
  ]);
  expect(parse("")).toEqual([]);
});

test("aliases within reason are followed, and a key may be called __proto__", () => {
  expect(parse("a: &x {b: 1}\nc: *x")).toEqual([{ a: { b: 1 }, c: { b: 1 } }]);
  const [value] = parse("__proto__: {polluted: 1}") as [object];
  expect(Object.keys(value)).toEqual(["__proto__"]);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

const bomb = `a0: &a0 [x,x,x,x,x,x,x,x,x]\n${Array.from(
  { length: 12 },
  (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(",")}]`,
).join("\n")}`;

const deepBlock = Array.from({ length: 100 }, (_, i) => `${" ".repeat(i)}a:`).join("\n");

describe("refuses in bounded time", () => {
  test.each([
    ["a billion laughs", bomb, /alias/],
    ["an alias of itself", "a: &a {b: [*a]}", /inside itself/],
    ["nesting in brackets", "[".repeat(100_000), /nested deeper than 32/],
    ["nesting in braces", "{a: ".repeat(10_000), /nested deeper than 32/],
    ["nesting by indentation", deepBlock, /nested deeper than 32/],
    ["nesting in one line", "- ".repeat(50_000), /nested deeper than 32/],
    ["nesting of keys", "? ".repeat(50_000), /nested deeper than 32/],
    [
      "a mapping of many keys",
      Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join("\n"),
      /20000 entries/,
    ],
    ["many documents", "--- a\n".repeat(2000), /more than 1000 documents/],
    ["length", "#".repeat(300_000), /300000 characters/],
    ["a broken document, with its line", "a: 1\nb: [1\nc: }", /line [234]/],
    ["a key twice", "a: 1\na: 2", /line 2/],
  ])("%s", (_, text, message) => {
    const started = performance.now();
    expect(() => parse(text)).toThrow(message);
    expect(performance.now() - started).toBeLessThan(3000);
  });
});

test.each([
  ["a list", "- name: a", /card 1: not a mapping/],
  ["a card without a name", "a: 1", /card 1: has no name/],
  ["a name that is a number", "name: 1", /has no name/],
  ["a name with two environments", "name: a@b@c", /"a@b@c" is not a name/],
  ["a name that is only an environment", "name: '@user'", /is not a name/],
  ["a base in an environment", "name: a\nbase: b@user", /base: "b@user"/],
])("%s is no card", (_, text, message) => {
  expect(() => parseAssetCards(text)).toThrow(message);
});
