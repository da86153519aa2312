import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { MatrixForm } from "../../../../src/pack/forms.ts";
import { packRows } from "../../../../src/pack/pack-rows.ts";
import { unpackRow } from "../../../../src/pack/unpack-row.ts";
import { nearestBf16, randomWeights } from "../sample-tensors.ts";

/** One block of 32, quantized and read back. */
function roundTrip(form: MatrixForm, block: ArrayLike<number>): Float32Array {
  const weights = Float32Array.from(block);
  const out = new Float32Array(weights.length);
  unpackRow(form, packRows(form, weights, 1, weights.length), weights.length, 0, out);
  return out;
}

function block(value: (i: number) => number): number[] {
  return Array.from({ length: 32 }, (_, i) => value(i));
}

const MAX_F32 = 3.4028234663852886e38;
const QUANTIZED = ["q4", "q4m", "q6m", "q8"] as const;

const BLOCKS: readonly [string, number[]][] = [
  ["zeros", block(() => 0)],
  ["negative zeros", block(() => -0)],
  ["one value, not a bf16", block(() => 0.1)],
  ["one negative value", block(() => -0.3)],
  ["a single spike", block((i) => (i === 17 ? -3.7 : 0))],
  ["values of one sign", block((i) => 0.5 + i / 64)],
  ["a small range far from zero", block((i) => 100 + i / 1000)],
  ["a small range far below zero", block((i) => -100 - i / 1000)],
  ["both ends of the range", block((i) => (i % 2 ? 1 : -1))],
  ["halves of steps", block((i) => (i - 16) / 30)],
  ["the smallest subnormals", block((i) => (i % 3) * 1.401298464324817e-45)],
  ["values about the smallest normal", block((i) => (i - 15) * 1.1754943508222875e-38)],
  ["values near the end of f32's range", block((i) => (i % 2 ? 1e38 : -1e38))],
  ["random weights", [...randomWeights(32, 1)]],
  ["large random weights", [...randomWeights(32, 2)].map((w) => w * 1e30)],
];

describe.each(QUANTIZED)("%s", (form) => {
  test.each(BLOCKS)("keeps %s within its error", (_, values) => {
    const weights = Float32Array.from(values);
    const low = Math.min(...weights);
    const high = Math.max(...weights);
    const largest = Math.max(-low, high);
    // The step that the form's rule gives, from a scale rounded to bf16 (by 2^-8, outward by 2^-7)
    // over a range that a minimum rounded outward (by 2^-7 of itself) widens.
    const widened = high - low + Math.abs(low) * 2 ** -7;
    const step = {
      q4: (largest / 8) * (1 + 2 ** -8),
      q4m: (widened / 15) * (1 + 2 ** -7),
      q6m: (widened / 63) * (1 + 2 ** -7),
      q8: (largest / 127) * (1 + 2 ** -8),
    }[form];
    // q4 has no code for +8 steps. The rest is the rounding of d * q + m, and a subnormal scale.
    const steps = form === "q4" ? 1 + 8 * 2 ** -8 : 0.5;
    const bound = step * steps + largest * 2 ** -23 + 64 * 2 ** -133;

    const back = roundTrip(form, weights);
    back.forEach((value, i) => {
      expect(Math.abs(value - weights[i]), `column ${i}: ${weights[i]}`).toBeLessThanOrEqual(bound);
    });
  });

  test("keeps zeros exactly", () => {
    expect(
      roundTrip(
        form,
        block(() => 0),
      ).every((value) => value === 0),
    ).toBe(true);
  });

  test("gives the same bytes on every engine", () => {
    // Pinned: a change here changes every pack's shards.
    const bytes = packRows(form, randomWeights(48 * 256, 7), 48, 256);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(PINNED[form]);
  });
});

const PINNED: Record<(typeof QUANTIZED)[number], string> = {
  q4: "c804faf10b266278df82527f0afd9aaf05485f7b330dbcf9014f0e116334d1d8",
  q4m: "6d516acaaeffca90f7eaa14f4180644ec322210874103d6f76cb58c9eea34b33",
  q6m: "37cbfe00b58fc1911c41f36b7b960412c99a7d69dd20f9d54bcaa0a6a88de11d",
  q8: "454c3ef6f0920657829998e1b4edc440269d22adfe71678b9fe3b2b6c539c446",
};

test("values that are bf16 are kept by bf16, others become the nearest", () => {
  const weights = randomWeights(32, 5);
  expect(roundTrip("bf16", weights)).toEqual(weights.map(nearestBf16));
  expect(roundTrip("bf16", weights.map(nearestBf16))).toEqual(weights.map(nearestBf16));
});

test("f32 keeps every value, subnormals and negative zero included", () => {
  const values = [-0, 1.401298464324817e-45, MAX_F32, -1.5, 0.1];
  expect(roundTrip("f32", values)).toEqual(Float32Array.from(values));
});

describe.each([...QUANTIZED, "bf16", "f32"] as const)("%s refuses", (form) => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%s", (value) => {
    for (const at of [0, 13, 31]) {
      const weights = Float32Array.from(block((i) => (i === at ? value : i)));
      expect(() => packRows(form, weights, 1, 32)).toThrow(/row 0: a weight is infinite or NaN/);
    }
  });
});

test.each(["q4", "q4m", "q6m", "q8", "bf16"] as const)(
  "%s refuses finite values that its rounding would make infinite",
  (form) => {
    for (const low of [-MAX_F32, MAX_F32, MAX_F32 * (1 - 2 ** -9)]) {
      const weights = Float32Array.from(block((i) => (i % 2 ? MAX_F32 : low)));
      expect(() => packRows(form, weights, 1, 32)).toThrow(/row 0: a weight is infinite or NaN/);
    }
  },
);

test.each([
  ["too few weights", "f32", 31, 1, 32],
  ["a row that is not whole blocks", "q4", 48, 1, 48],
] as const)("packRows refuses %s", (_, form, count, rows, cols) => {
  expect(() => packRows(form, new Float32Array(count), rows, cols)).toThrow(/pack: /);
});
