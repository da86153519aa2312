import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { dequantize } from "../../../../src/formats/gguf/dequantize.ts";
import { quantize } from "../../../../src/formats/gguf/quantize.ts";
import { readGguf } from "../../../../src/formats/gguf/read-gguf.ts";
import type { ModelFile } from "../../../../src/formats/model-file.ts";
import { readAllTensorBytes } from "../../../../src/formats/tensor-bytes.ts";
import { memorySource } from "../../../../src/sources/memory.ts";

const folder = new URL("../../../goldens/gguf/", import.meta.url);

function open(name: string): Promise<ModelFile> {
  const bytes = new Uint8Array(readFileSync(new URL(`${name}.gguf`, folder)));
  return readGguf(memorySource(bytes, name));
}

test.each(["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"] as const)(
  "%s has the bytes that ggml's quantizer made of the same weights",
  async (type) => {
    const exact = await open("F32");
    const golden = await open(type);
    let compared = 0;
    for (const [name, tensor] of golden.tensors) {
      if (tensor.type !== type) continue;
      const source = exact.tensors.get(name)!;
      const values = new Float32Array(source.shape.reduce((product, n) => product * n, 1));
      dequantize(source.type, await readAllTensorBytes(source), values);
      const found = new Uint8Array(tensor.bytes);
      quantize(type, values, found);
      expect(Buffer.compare(found, await readAllTensorBytes(tensor)), name).toBe(0);
      compared++;
    }
    expect(compared).toBeGreaterThan(5);
  },
);

test("a block of zeros is zeros", () => {
  const out = new Uint8Array(34).fill(9);
  quantize("Q8_0", new Float32Array(32), out);
  expect(out).toEqual(new Uint8Array(34));
});
