/** Files for speed comparisons: written so that the reader finds the same model, rounded as ggml does. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dequantize } from "../../../src/formats/gguf/dequantize.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { f16ToF32 } from "../../../src/formats/half.ts";
import type { TensorInfo } from "../../../src/formats/model-file.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { script } from "./script.ts";

const { f32ToF16, quantizeBlocks, requantize } = await script("requantize");

const files = new Map<string, Uint8Array>();

/** One small model in each type, by the tools of ggml, from the same f32 weights. */
function golden(type: string): Uint8Array {
  const bytes = files.get(type) ?? new Uint8Array(readFileSync(`tests/goldens/gguf/${type}.gguf`));
  files.set(type, bytes);
  return bytes;
}

function weightsOf(bytes: Uint8Array, { type, start, bytes: size, shape }: TensorInfo) {
  const weights = new Float32Array(shape.reduce((a, b) => a * b, 1));
  dequantize(type, bytes.subarray(start, start + size), weights);
  return weights;
}

test("every f16 is its own nearest, and halves between two go to the even one", () => {
  const wrong: number[] = [];
  for (let bits = 0; bits < 0x7c00; bits++) {
    const value = f16ToF32(bits);
    if (f32ToF16(value) !== bits || f32ToF16(-value) !== (bits | 0x8000)) wrong.push(value);
    const middle = (value + f16ToF32(bits + 1)) / 2;
    if (bits < 0x7bff && f32ToF16(middle) !== bits + (bits % 2)) wrong.push(middle);
  }
  expect(wrong).toEqual([]);
  expect(f32ToF16(65520)).toBe(0x7c00);
  expect(f32ToF16(65519)).toBe(0x7bff);
});

test("Q4_0 puts the weight of largest magnitude at -8 and the rest at the nearest steps", () => {
  const weights = Float32Array.from({ length: 32 }, (_, i) => i - 16);
  const out = new Float32Array(32);
  dequantize("Q4_0", quantizeBlocks("Q4_0", weights), out);
  // A step of 2: odd weights lie half-way, and adding 8.5 takes them up; 15 has no step of its own.
  const nearest = Array.from(weights, (w) => Math.min(14, 2 * Math.floor(w / 2 + 0.5)));
  expect(Array.from(out)).toEqual(nearest);
});

test("Q8_0 takes halves away from zero", () => {
  const weights = new Float32Array(32);
  weights.set([127, 2.5, -2.5, 3.5, -0.4]);
  const out = new Float32Array(32);
  dequantize("Q8_0", quantizeBlocks("Q8_0", weights), out);
  expect(Array.from(out.subarray(0, 5))).toEqual([127, 3, -3, 4, 0]);
});

test.each(["Q4_0", "Q8_0"])("blocks of what was %s already are the same bytes", async (type) => {
  const bytes = golden(type);
  const { tensors } = await readGguf(memorySource(bytes, "m.gguf"));
  const blocks = [...tensors.values()].filter((tensor) => tensor.type === type);
  expect(blocks.length).toBeGreaterThan(5);
  for (const tensor of blocks) {
    const stored = bytes.subarray(tensor.start, tensor.start + tensor.bytes);
    expect(Buffer.compare(quantizeBlocks(type, weightsOf(bytes, tensor)), stored)).toBe(0);
  }
});

test.each([
  ["Q4_0", 0.99],
  ["Q8_0", 0.98],
])(
  "a file made %s is the one that ggml makes of f32, but for weights at a border",
  async (type, least) => {
    const folder = mkdtempSync(join(tmpdir(), "pronk-requantize-"));
    try {
      const path = join(folder, "out.gguf");
      await requantize("tests/goldens/gguf/F16.gguf", type, path);
      const bytes = new Uint8Array(readFileSync(path));
      const [made, source, theirs] = await Promise.all(
        [bytes, golden("F16"), golden(type)].map((file) => readGguf(memorySource(file, "m.gguf"))),
      );
      expect([...made!.tensors.keys()]).toEqual([...source!.tensors.keys()]);
      const { "general.file_type": fileType, ...metadata } = Object.fromEntries(made!.metadata);
      expect(fileType).toBe(theirs!.metadata.get("general.file_type"));
      expect(Object.fromEntries(source!.metadata)).toMatchObject(metadata);

      let equal = 0;
      let all = 0;
      for (const [name, tensor] of made!.tensors) {
        const { start, shape } = tensor;
        const other = theirs!.tensors.get(name)!;
        expect(shape).toEqual(other.shape);
        const kept = source!.tensors.get(name)!.type;
        if (tensor.type === kept) continue;
        expect(tensor.type).toBe(type);
        all += tensor.bytes;
        for (let i = 0; i < tensor.bytes; i++) {
          if (bytes[start + i] === golden(type)[other.start + i]) equal++;
        }
      }
      expect(equal / all).toBeGreaterThan(least);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
