/** Dequantization against ggml's own, bit for bit: SHA-256 over the little-endian f32 weights. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { dequantize } from "../../src/formats/gguf/dequantize.ts";
import { readGguf } from "../../src/formats/gguf/read-gguf.ts";
import { TYPE_BLOCKS } from "../../src/formats/gguf/types.ts";
import { memorySource } from "../../src/sources/memory.ts";

interface Golden {
  files: Record<string, Record<string, { type: string; shape: number[]; sha256: string }>>;
}

const folder = new URL("../goldens/gguf/", import.meta.url);
const golden: Golden = JSON.parse(readFileSync(new URL("dequantized.json", folder), "utf8"));

describe.each(Object.entries(golden.files))("%s.gguf", (file, expected) => {
  test("has the golden's tensors, which dequantize to the golden's bits", async () => {
    const bytes = new Uint8Array(readFileSync(new URL(`${file}.gguf`, folder)));
    const model = await readGguf(memorySource(bytes, `${file}.gguf`));

    const found = [...model.tensors.values()].map((tensor) => {
      // An odd address: blocks of 18 and 210 bytes fall on any.
      const unaligned = new Uint8Array(tensor.bytes + 1).subarray(1);
      unaligned.set(bytes.subarray(tensor.start, tensor.start + tensor.bytes));
      const out = new Float32Array(tensor.shape.reduce((a, b) => a * b, 1));
      dequantize(tensor.type, unaligned, out);
      const sha256 = createHash("sha256").update(new Uint8Array(out.buffer)).digest("hex");
      return [tensor.name, { type: tensor.type, shape: tensor.shape, sha256 }];
    });
    expect(Object.fromEntries(found)).toEqual(expected);
  });
});

test("the goldens cover every type that runs", () => {
  const types = Object.values(golden.files).flatMap((file) => Object.values(file));
  expect([...new Set(types.map(({ type }) => type))].sort()).toEqual(
    Object.keys(TYPE_BLOCKS).sort(),
  );
});
