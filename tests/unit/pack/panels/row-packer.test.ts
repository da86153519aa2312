import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { dequantize } from "../../../../src/formats/gguf/dequantize.ts";
import { readGguf } from "../../../../src/formats/gguf/read-gguf.ts";
import { TYPE_BLOCKS } from "../../../../src/formats/gguf/types.ts";
import type { TensorInfo, TensorType } from "../../../../src/formats/model-file.ts";
import { readAllTensorBytes } from "../../../../src/formats/tensor-bytes.ts";
import { formFor } from "../../../../src/pack/form-choice.ts";
import type { MatrixForm } from "../../../../src/pack/forms.ts";
import { planImage } from "../../../../src/pack/image-plan.ts";
import { packTensors } from "../../../../src/pack/packer.ts";
import { keepsCodes } from "../../../../src/pack/panels/row-packer.ts";
import { unpackRow } from "../../../../src/pack/unpack-row.ts";
import { memorySource } from "../../../../src/sources/memory.ts";
import { randomBlocks, randomIntegers, tensorOf } from "../sample-tensors.ts";

const ROWS = 21;
const COLS = 512;

/**
 * Source types whose codes a form takes over, where a block's codes start and end in bytes, and how many
 * scales a weight is whose bits of code are all 1.
 */
const DIRECT: readonly [TensorType, MatrixForm, codes: [number, number], ones: number][] = [
  ["Q4_0", "q4", [2, 18], 7],
  ["Q4_1", "q4m", [4, 20], 15],
  ["Q4_K", "q4m", [16, 144], 15],
  ["Q5_0", "q6m", [2, 22], 15],
  ["Q5_1", "q6m", [4, 24], 31],
  ["Q5_K", "q6m", [16, 176], 31],
  ["Q8_0", "q8", [2, 34], -1],
  ["IQ4_NL", "q8", [2, 18], 113],
  ["IQ4_XS", "q8", [8, 136], 113],
];
/** Their scales are f16 times an integer of 6 bits. */
const TWO_LEVELS: readonly TensorType[] = ["Q4_K", "Q5_K", "IQ4_XS"];
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

/** The f16 numbers of both signs whose bits without sign are from `first` to `last`, shuffled. */
function halvesBetween(first: number, last: number, step = 1): number[] {
  const next = randomIntegers(first);
  const halves: number[] = [];
  for (let bits = first; bits <= last; bits += step) halves.push(bits, bits | 0x8000);
  for (let i = halves.length - 1; i > 0; i--) {
    const j = next() % (i + 1);
    [halves[i], halves[j]] = [halves[j], halves[i]];
  }
  return halves;
}

/** A weight's rounding to f32, twice. */
const F32_ROUNDING = 2 ** -22;

/** Of a row's largest scale or minimum, which is 16383.5 of its units or more. */
const HALF_UNIT = 1 / 32767;

describe.each(DIRECT)("%s to %s", (type, form, [codesStart, codesEnd], ones) => {
  const shape = [ROWS, COLS];

  test("is the direct path", () => {
    expect(keepsCodes(type, form)).toBe(true);
  });

  /** Blocks with every bit of the codes alike. */
  const withCodes = (bytes: Uint8Array, codes: number): Uint8Array => {
    const out = bytes.slice();
    const { bytes: size } = TYPE_BLOCKS[type];
    for (let at = 0; at < out.length; at += size) out.fill(codes, at + codesStart, at + codesEnd);
    return out;
  };

  // What is exact: integers up to 15 bits, of the power of two that gives the row's largest 15.
  const EXACT: readonly [string, number[]][] = TWO_LEVELS.includes(type)
    ? [
        ["powers of two within a factor of 2^8", halvesBetween(0x1c00, 0x3c00, 0x400)],
        ["9 bits of subnormals", halvesBetween(0, 0x1ff)],
      ]
    : [
        // 0x2800 is 2^-5, 0x3800 a half.
        ["every f16 within a factor of 16", halvesBetween(0x2800, 0x3800)],
        ["every f16 of the smallest five binades but zero", halvesBetween(0x0001, 0x13ff)],
        ["the largest f16 and what is 16 times smaller", halvesBetween(0x6c00, 0x7bff, 31)],
        ["powers of two within a factor of 2^14", halvesBetween(0x1000, 0x4800, 0x400)],
        ["one number and zeros", [0x2e66, 0, 0x8000]],
      ];
  test.each(EXACT)(
    "keeps every weight exactly where scales and minima are %s",
    async (_, halves) => {
      const bytes = randomBlocks(type, ROWS * COLS, 1, halves);
      const packed = await packAndUnpack(tensorOf("w", type, shape, bytes), form);
      const expected = dequantized(type, bytes, ROWS * COLS);
      expect(packed.findIndex((value, i) => value !== expected[i])).toBe(-1);
    },
  );

  test("is off by no more than the rounding of scale and minimum", async () => {
    const next = randomIntegers(5);
    // Every exponent and sign that an f16 has, the largest and smallest numbers among them, and rows with
    // few of them; so the largest scale of a row is anything.
    const all = Array.from({ length: 997 }, () => next() & 0xffff)
      .filter((h) => (h & 0x7c00) !== 0x7c00)
      .concat(0x7bff, 0xfbff, 1, 0x3ff);
    for (const halves of [all, ...all.slice(0, 12).map((_, i) => all.slice(3 * i, 3 * i + 3))]) {
      const bytes = randomBlocks(type, ROWS * COLS, 2, halves);
      const packed = await packAndUnpack(tensorOf("w", type, shape, bytes), form);
      const expected = dequantized(type, bytes, ROWS * COLS);
      const minima = WITHOUT_MINIMUM.includes(type)
        ? new Float32Array(ROWS * COLS)
        : dequantized(type, withCodes(bytes, 0), ROWS * COLS);
      const scales = dequantized(type, withCodes(bytes, 0xff), ROWS * COLS).map(
        (full, i) => (full - minima[i]) / ones,
      );
      for (let row = 0; row < ROWS; row++) {
        const largest = (values: Float32Array): number =>
          values
            .subarray(row * COLS, (row + 1) * COLS)
            .reduce((a, x) => Math.max(a, Math.abs(x)), 0);
        const scaleRounding = largest(scales) * HALF_UNIT;
        // As a panel, Q5_0 is d * q - 16 d.
        const [offset, minimumRounding] =
          type === "Q5_0" ? [16, 16 * scaleRounding] : [0, largest(minima) * HALF_UNIT];
        for (let i = row * COLS; i < (row + 1) * COLS; i++) {
          const share = expected[i] - minima[i];
          const code = scales[i] === 0 ? 0 : Math.abs(share / scales[i] + offset);
          const bound =
            code * scaleRounding +
            minimumRounding +
            (Math.abs(share) + Math.abs(minima[i]) + offset * Math.abs(scales[i])) * F32_ROUNDING;
          const error = Math.abs(packed[i] - expected[i]);
          // Not one assertion a weight: they would take seconds.
          if (error > bound * (1 + 2 ** -10)) expect({ row, i, error }).toEqual({ bound });
        }
      }
    }
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
  ["Q4_0", "q4", 0],
  ["Q4_1", "q4m", 0],
  ["Q4_K", "q4m", 0.006],
  ["Q5_0", "q6m", 0],
  ["Q5_1", "q6m", 0],
  ["Q5_K", "q6m", 0.006],
  ["Q8_0", "q8", 0],
  ["IQ4_NL", "q8", 0],
  ["IQ4_XS", "q8", 0.002],
  ["Q6_K", "q8", 0.55],
  ["Q3_K", "q6m", 1.65],
  ["Q2_K", "q6m", 1.55],
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
      expect(100 * Math.sqrt(error / power)).toBeGreaterThanOrEqual(limit / 2);
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
