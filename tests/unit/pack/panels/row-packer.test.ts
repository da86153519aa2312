import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { dequantize } from "../../../../src/formats/gguf/dequantize.ts";
import { readGguf } from "../../../../src/formats/gguf/read-gguf.ts";
import { TYPE_BLOCKS } from "../../../../src/formats/gguf/types.ts";
import type { TensorInfo, TensorType } from "../../../../src/formats/model-file.ts";
import { readAllTensorBytes } from "../../../../src/formats/tensor-bytes.ts";
import { formFor } from "../../../../src/pack/form-choice.ts";
import type { MatrixForm } from "../../../../src/pack/forms.ts";
import { packTensors, planImage } from "../../../../src/pack/packer.ts";
import { keepsCodes } from "../../../../src/pack/panels/row-packer.ts";
import { unpackRow } from "../../../../src/pack/unpack-row.ts";
import { memorySource } from "../../../../src/sources/memory.ts";
import { randomBlocks, randomIntegers, tensorOf } from "../sample-tensors.ts";

const ROWS = 21;
const COLS = 512;

/** Source types whose codes a form takes over, and where a block's codes start and end in bytes. */
const DIRECT: readonly [TensorType, MatrixForm, codes: [number, number]][] = [
  ["Q4_0", "q4", [2, 18]],
  ["Q4_1", "q4m", [4, 20]],
  ["Q4_K", "q4m", [16, 144]],
  ["Q5_0", "q6m", [2, 22]],
  ["Q5_1", "q6m", [4, 24]],
  ["Q5_K", "q6m", [16, 176]],
  ["Q8_0", "q8", [2, 34]],
  ["IQ4_NL", "q8", [2, 18]],
  ["IQ4_XS", "q8", [8, 136]],
];
/** Their weights are d * (something), without a minimum of their own. */
const WITHOUT_MINIMUM: readonly TensorType[] = ["Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "IQ4_XS"];

async function packAndUnpack(tensor: TensorInfo, form: MatrixForm): Promise<Float32Array> {
  const entry = { name: tensor.name, tensor, form };
  const image = new Uint8Array(planImage([entry]).weightBytes);
  await packTensors([entry], (offset, bytes) => image.set(bytes, offset));
  const [rows, cols] = tensor.shape;
  const out = new Float32Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    unpackRow(form, image, cols, r, out.subarray(r * cols, (r + 1) * cols));
  }
  return out;
}

function dequantized(type: TensorType, bytes: Uint8Array, weights: number): Float32Array {
  const out = new Float32Array(weights);
  dequantize(type, bytes, out);
  return out;
}

describe.each(DIRECT)("%s to %s", (type, form, [codesStart, codesEnd]) => {
  const shape = [ROWS, COLS];

  test("is the direct path", () => {
    expect(keepsCodes(type, form)).toBe(true);
  });

  test("keeps every weight exactly where scales and minima are bf16", async () => {
    // Powers of two stay bf16 also when a K-quant multiplies them by 6 bits. Signs included.
    const halves = [0x3c00, 0x2400, 0xb400, 0x1000, 0x0400, 0x0001, 0x8001, 0, 0x5800, 0xdc00];
    const bytes = randomBlocks(type, ROWS * COLS, 1, halves);
    const packed = await packAndUnpack(tensorOf("w", type, shape, bytes), form);
    const expected = dequantized(type, bytes, ROWS * COLS);
    expect(packed.findIndex((value, i) => value !== expected[i])).toBe(-1);
  });

  test("is off by no more than the rounding of scale and minimum", async () => {
    const next = randomIntegers(5);
    // Every exponent and sign that an f16 has, the largest and smallest numbers among them.
    const halves = Array.from({ length: 997 }, () => next() & 0xffff);
    const finite = halves.filter((h) => (h & 0x7c00) !== 0x7c00).concat(0x7bff, 0xfbff, 1, 0x3ff);
    const bytes = randomBlocks(type, ROWS * COLS, 2, finite);
    const packed = await packAndUnpack(tensorOf("w", type, shape, bytes), form);
    const expected = dequantized(type, bytes, ROWS * COLS);

    // With all codes 0 only the minimum is left; the difference is the scale's share.
    const withoutCodes = bytes.slice();
    const { bytes: size } = TYPE_BLOCKS[type];
    for (let block = 0; block < bytes.length; block += size) {
      withoutCodes.fill(0, block + codesStart, block + codesEnd);
    }
    const minima = WITHOUT_MINIMUM.includes(type)
      ? new Float32Array(ROWS * COLS)
      : dequantized(type, withoutCodes, ROWS * COLS);
    const excess = packed.findIndex((value, i) => {
      const minimum = Math.abs(minima[i]);
      const share = Math.abs(expected[i] - minima[i]);
      return Math.abs(value - expected[i]) > (minimum + share) * (2 ** -8 + 2 ** -22);
    });
    expect(excess).toBe(-1);
  });

  test.each([0x7c00, 0xfc00, 0x7e00, 0xffff])("refuses a scale of f16 bits %i", async (half) => {
    const bytes = randomBlocks(type, ROWS * COLS, 3, [0x3c00]);
    const rowBytes = bytes.length / ROWS;
    const bad = randomBlocks(type, COLS, 4, [half]);
    bytes.set(
      bad.subarray(rowBytes - TYPE_BLOCKS[type].bytes),
      18 * rowBytes - TYPE_BLOCKS[type].bytes,
    );
    await expect(
      packAndUnpack(tensorOf("blk.3.w", type, shape, bytes), form),
    ).rejects.toMatchObject({
      code: "bad_format",
      message: expect.stringMatching(/^sample.gguf: tensor blk.3.w: row 17: .*infinite or NaN/),
    });
  });
});

/**
 * Root mean square of the error over that of the weights, in percent, rounded up: what
 * docs/pack-format.md states.
 */
const AUTO_ERRORS: readonly [TensorType, MatrixForm, percent: number][] = [
  ["F16", "q8", 0.55],
  ["BF16", "q8", 0.55],
  ["Q4_0", "q4", 0.17],
  ["Q4_1", "q4m", 0.52],
  ["Q4_K", "q4m", 0.52],
  ["Q5_0", "q6m", 0.17],
  ["Q5_1", "q6m", 0.52],
  ["Q5_K", "q6m", 0.52],
  ["Q8_0", "q8", 0.17],
  ["IQ4_NL", "q8", 0.17],
  ["IQ4_XS", "q8", 0.17],
  ["Q6_K", "q8", 0.55],
  ["Q3_K", "q6m", 1.7],
  ["Q2_K", "q6m", 1.6],
];

describe("a real file's matrices, under auto", () => {
  test.each(AUTO_ERRORS)(
    "%s becomes %s with an error of %f %% at most",
    async (type, form, limit) => {
      const bytes = new Uint8Array(readFileSync(`tests/goldens/gguf/${type}.gguf`));
      const file = await readGguf(memorySource(bytes, `${type}.gguf`));
      const matrices = [...file.tensors.values()].filter((t) => t.type === type);
      expect(matrices.length).toBeGreaterThan(0);
      let error = 0;
      let power = 0;
      for (const tensor of matrices) {
        const [rows, cols] = tensor.shape;
        const options = { quantization: "auto", profile: "default", role: "matrix" } as const;
        expect(formFor(type, cols, options)).toBe(form);
        const expected = dequantized(type, await readAllTensorBytes(tensor), rows * cols);
        const packed = await packAndUnpack(tensor, form);
        packed.forEach((value, i) => {
          error += (value - expected[i]) ** 2;
          power += expected[i] ** 2;
        });
      }
      expect(100 * Math.sqrt(error / power)).toBeLessThanOrEqual(limit);
      expect(100 * Math.sqrt(error / power)).toBeGreaterThan(limit / 2);
    },
  );

  test.each(Object.keys(TYPE_BLOCKS) as TensorType[])("%s as f32 keeps every bit", async (type) => {
    const bytes = randomBlocks(type, ROWS * COLS, 6, [0x2c00, 0x9000, 0x1234]);
    if (type === "F32" || type === "F16" || type === "BF16") {
      // Random bits, none of them infinite or NaN.
      const step = type === "F32" ? 4 : 2;
      for (let i = step - 1; i < bytes.length; i += step) bytes[i] &= 0xbb;
    }
    const packed = await packAndUnpack(tensorOf("w", type, [ROWS, COLS], bytes), "f32");
    const expected = dequantized(type, bytes, ROWS * COLS);
    expect(new Uint32Array(packed.buffer)).toEqual(new Uint32Array(expected.buffer));
  });
});
