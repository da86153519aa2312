import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { hasMinimum, type MatrixForm } from "../../../../src/pack/forms.ts";
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
const QUANTIZED = ["q4", "q4m", "q4s", "q6m", "q8"] as const;

/** Of a row's largest scale or minimum, which is 16383.5 of its units or more; of q4s 127.5 and 63.5. */
const HALF_UNIT = 1 / 32767;
const SHORT_HALF_UNIT = 1 / 255;
const SHORT_HALF_MINIMUM = 1 / 127;

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
    // The step that the form's rule gives, from a scale rounded to nearest, or outward, over a range that
    // a minimum rounded outward widens.
    const halfMinimum = form === "q4s" ? SHORT_HALF_MINIMUM : HALF_UNIT;
    const widened = high - low + Math.abs(low) * 2 * halfMinimum;
    const step = {
      q4: (largest / 8) * (1 + HALF_UNIT),
      q4m: (widened / 15) * (1 + 2 * HALF_UNIT),
      q4s: (widened / 15) * (1 + 2 * SHORT_HALF_UNIT),
      q6m: (widened / 63) * (1 + 2 * HALF_UNIT),
      q8: (largest / 127) * (1 + HALF_UNIT),
    }[form];
    // q4 has no code for +8 steps. The rest is the rounding of d * q + m, and units that end at 2^-126:
    // half of one for each step and half a step, or minimum and scale outward.
    const steps = form === "q4" ? 1 + 8 * HALF_UNIT : 0.5;
    const smallest = { q4: 9, q4m: 2, q4s: 2, q6m: 2, q8: 128 }[form] * 2 ** -127;
    const bound = step * steps + largest * 2 ** -24 + (largest < 2 ** -100 ? smallest : 0);

    const back = roundTrip(form, weights);
    back.forEach((value, i) => {
      expect(Math.abs(value - weights[i]), `column ${i}: ${weights[i]}`).toBeLessThanOrEqual(bound);
    });
  });

  test("is off by what the row's largest scale and minimum round to, block for block", () => {
    // Blocks of 1, 1/8, ... 1/8^7 of the first one's size; from the sixth, scales are a few units.
    const sizes = Array.from({ length: 8 }, (_, b) => 8 ** -b);
    const weights = Float32Array.from(
      sizes.flatMap((size, b) => [...randomWeights(32, b + 1)].map((w) => w * size)),
    );
    const range = (b: number): [low: number, high: number] => {
      const own = weights.subarray(32 * b, 32 * b + 32);
      return [Math.min(...own), Math.max(...own)];
    };
    const extreme = ([low, high]: [number, number]): number => Math.max(-low, high);
    const ofMinimum = form === "q4s" ? SHORT_HALF_MINIMUM : HALF_UNIT;
    const minimumUnit = 2 * ofMinimum * Math.max(...sizes.map((_, b) => -range(b)[0]));
    const scale = {
      q4: (b: number) => extreme(range(b)) / 8,
      q4m: (b: number) => (range(b)[1] - range(b)[0] + minimumUnit) / 15,
      q4s: (b: number) => (range(b)[1] - range(b)[0] + minimumUnit) / 15,
      q6m: (b: number) => (range(b)[1] - range(b)[0] + minimumUnit) / 63,
      q8: (b: number) => extreme(range(b)) / 127,
    }[form];
    const ofScale = form === "q4s" ? SHORT_HALF_UNIT : HALF_UNIT;
    const halfUnit = ofScale * Math.max(...sizes.map((_, b) => scale(b)));
    const back = roundTrip(form, weights);
    for (let i = 0; i < weights.length; i++) {
      const step = scale(Math.floor(i / 32));
      // To nearest: the end of the range is off by as many half units as it has steps. Outward: the step is a
      // unit longer, and nothing else changes.
      const bound = {
        q4: step + 9 * halfUnit,
        q4m: step / 2 + halfUnit,
        q4s: step / 2 + halfUnit,
        q6m: step / 2 + halfUnit,
        q8: step / 2 + 128 * halfUnit,
      }[form];
      const error = Math.abs(back[i] - weights[i]);
      expect(error, `column ${i}: ${weights[i]}`).toBeLessThanOrEqual(bound + 2 ** -26);
    }
  });

  test.each([-100, -33, -1, 1, 90, 126])(
    "keeps codes and integers of weights times 2^%i",
    (power) => {
      // Below 2^-126 and above 2^112 no exponent follows; these powers keep scales and minima between.
      const weights = randomWeights(32 * 96, 12);
      const packed = packRows(form, weights, 32, 96);
      const expected = new Int8Array(packed.slice().buffer);
      for (let at = 0; at < expected.length; at += expected.length / 2) {
        const numbers = hasMinimum(form) ? 32 : 16;
        for (let i = 0; i < numbers; i++) expected[at + i] += power;
      }
      const moved = packRows(
        form,
        weights.map((w) => w * 2 ** power),
        32,
        96,
      );
      expect(new Int8Array(moved.buffer)).toEqual(expected);
    },
  );

  test("is off by as much above a weight as below it, over many", () => {
    // Rounding to nearest: the mean error is that of a random walk, a hundredth of a step.
    const weights = randomWeights(64 * 512, 21);
    const back = roundTrip(form, weights);
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < weights.length; i++) {
      sum += back[i] - weights[i];
      squares += (back[i] - weights[i]) ** 2;
    }
    const deviation = Math.sqrt(squares / weights.length);
    expect(Math.abs(sum / weights.length)).toBeLessThan(
      (4 * deviation) / Math.sqrt(weights.length),
    );
  });

  test("rounds codes to nearest, up from the middle", () => {
    // The first two weights make the scale 1 and the minimum 0 (q4 and q8: the zero point is code 8 or 128).
    const [ends, middles] = {
      q4: [
        [-8, 7],
        [0.5, 1.49, -0.5, -0.51, 6.5, -7.5, 7.9],
      ],
      q4m: [
        [0, 15],
        [0.5, 1.49, 14.5, 14.49, 7.5, 0.49],
      ],
      q4s: [
        [0, 15],
        [0.5, 1.49, 14.5, 14.49, 7.5, 0.49],
      ],
      q6m: [
        [0, 63],
        [0.5, 1.49, 62.5, 62.49, 31.5, 0.49],
      ],
      q8: [
        [-127, 127],
        [0.5, 1.49, -0.5, -0.51, 126.5, -126.5],
      ],
    }[form];
    const weights = block((i) => [...ends, ...middles][i] ?? 0);
    const back = roundTrip(form, weights);
    const top = { q4: 7, q4m: 15, q4s: 15, q6m: 63, q8: 127 }[form];
    expect([...back]).toEqual(weights.map((w) => Math.min(top, Math.floor(w + 0.5)) + 0));
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
  q4: "6f8abfaeab3f1a05d5bacab460e98494a21757b842700ac61170b1b34a79a3ae",
  q4m: "3eb5c58bd6c350052e81dcd5c90e0d468996a9b02b6a32a854d5515dc1abdd48",
  q4s: "9e1b54e0a555c95dfd618148007dc507c7028889e3b389adfa991c81be6c9d26",
  q6m: "44692b320a7336591dff6a49248d459115e8e9522b27971e5ee79ea9523201bf",
  q8: "28f1780142fbb29bbef8de6045558f1b6d7ac58a4acd0c36a9bc632d840edc2b",
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

test.each(["q4", "q4m", "q4s", "q6m", "q8", "bf16"] as const)(
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
