import { expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { parseBoundedJson } from "../../../src/formats/bounded-json.ts";

const parse = (text: string | Uint8Array): unknown =>
  parseBoundedJson(
    typeof text === "string" ? new TextEncoder().encode(text) : text,
    (why) => new PronkError("bad_format", `x.json: ${why}`),
  );

test("reads what is within its bounds, brackets and commas inside of texts uncounted", () => {
  const texts = ["[".repeat(1000), ",".repeat(700_000), '\\"[[', '"', "\\", "é😀"];
  expect(parse(JSON.stringify({ texts, deep: [[[{ a: [1, 2.5e3, null, true] }]]] }))).toEqual({
    texts,
    deep: [[[{ a: [1, 2500, null, true] }]]],
  });
  const deepest = `${"[".repeat(64)}${"]".repeat(64)}`;
  expect(JSON.stringify(parse(deepest))).toBe(deepest);
  expect(parse("7")).toBe(7);
});

test.each([
  ["65 levels", `${"[".repeat(65)}${"]".repeat(65)}`, "nested deeper than 64"],
  ["65 levels of objects", '{"a":'.repeat(65), "nested deeper than 64"],
  ["too many items", `[${"1,".repeat(600_001)}1]`, "more than 600000 values"],
  ["too many lists", `[${"[]".repeat(600_001)}]`, "more than 600000 values"],
  ["an open text", '"abc', "is not JSON"],
  ["an escape at its end", '"abc\\', "is not JSON"],
  ["more brackets closed than open", "]]]]", "is not JSON"],
  ["nothing", "", "is not JSON"],
  ["bytes that are no UTF-8", Uint8Array.of(0x22, 0xff, 0x22), "is not JSON"],
])("refuses %s", (_, text, why) => {
  expect(() => parse(text)).toThrow(`x.json: ${why.startsWith("is") ? why : ""}`);
  expect(() => parse(text)).toThrow(why);
});
