import { expect, test } from "vitest";
import { PackedStringsBuilder, packedString } from "../../../src/formats/packed-strings.ts";

const utf8 = new TextEncoder();

test("strings come back as they were pushed, in arrays of exactly their size", () => {
  const texts = ["", "a", "Ω".repeat(5000), "", "🦙", "\ufeffb"];
  const builder = new PackedStringsBuilder(texts.length);
  for (const text of texts) {
    const bytes = utf8.encode(`<${text}>`);
    builder.push(bytes, 1, bytes.length - 1);
  }
  const strings = builder.build();

  expect(texts.map((_, i) => packedString(strings, i))).toEqual(texts);
  expect(strings.length).toBe(6);
  expect(strings.bytes.buffer.byteLength).toBe(utf8.encode(texts.join("")).length);
  expect(strings.offsets.length).toBe(7);
});
