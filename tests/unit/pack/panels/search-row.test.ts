import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { packRows } from "../../../../src/pack/pack-rows.ts";
import { fitBlock } from "../../../../src/pack/panels/block-search.ts";
import { searchingQuantizer } from "../../../../src/pack/panels/search-row.ts";
import { unpackRow } from "../../../../src/pack/unpack-row.ts";
import { randomWeights } from "../sample-tensors.ts";

type Form = "q4m" | "q4s" | "q6m";
const FORMS: readonly Form[] = ["q4m", "q4s", "q6m"];
const MAX_CODE = { q4m: 15, q4s: 15, q6m: 63 };

function unpack(form: Form, packed: Uint8Array, rows: number, cols: number): Float32Array {
  const out = new Float32Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    unpackRow(form, packed, cols, row, out.subarray(row * cols, (row + 1) * cols));
  }
  return out;
}

function nearest(form: Form, weights: Float32Array, rows: number): Float32Array {
  const cols = weights.length / rows;
  return unpack(form, packRows(form, weights, rows, cols), rows, cols);
}

function searched(
  form: Form,
  weights: Float32Array,
  rows: number,
  importance?: Float32Array,
): Float32Array {
  const cols = weights.length / rows;
  const quantizer = searchingQuantizer(form, cols, importance);
  return unpack(form, packRows(form, weights, rows, cols, quantizer), rows, cols);
}

/** Sum of importance times squared difference. */
function errorOf(
  weights: Float32Array,
  back: Float32Array,
  importance: ArrayLike<number> = new Float32Array(weights.length).fill(1),
): number {
  return weights.reduce(
    (sum, w, i) => sum + importance[i % importance.length] * (w - back[i]) ** 2,
    0,
  );
}

const block = (value: (i: number) => number): Float32Array =>
  Float32Array.from({ length: 32 }, (_, i) => value(i));

/** Like real columns: most alike, one in sixteen a hundred times as important. */
const skewed = (cols: number): Float32Array =>
  Float32Array.from({ length: cols }, (_, i) => (i % 16 === 5 ? 100 : 1 + (i % 7) / 7));

const SHAPES: readonly [string, Float32Array][] = [
  ["random weights", randomWeights(64 * 256, 3)],
  ["weights with outliers", randomWeights(64 * 256, 4).map((w, i) => (i % 97 ? w : 6 * w))],
  ["weights of one sign", randomWeights(64 * 256, 5).map(Math.abs)],
  ["two values", randomWeights(64 * 256, 6).map((w) => (w > 0 ? 0.3 : -0.1))],
  ["large magnitudes", randomWeights(64 * 256, 7).map((w) => w * 2 ** 120)],
  ["small magnitudes", randomWeights(64 * 256, 8).map((w) => w * 2 ** -110)],
  [
    "blocks of very different sizes",
    randomWeights(64 * 256, 9).map((w, i) => w * 8 ** -(Math.floor(i / 32) % 8)),
  ],
];

describe.each(FORMS)("%s", (form) => {
  test.each(SHAPES)("is never worse than nearest rounding in any row: %s", (_, weights) => {
    for (const importance of [undefined, skewed(256)]) {
      const plain = nearest(form, weights, 64);
      const back = searched(form, weights, 64, importance);
      for (let row = 0; row < 64; row++) {
        const [own, first, second] = [weights, plain, back].map((all) =>
          all.subarray(row * 256, (row + 1) * 256),
        );
        expect(errorOf(own, second, importance)).toBeLessThanOrEqual(
          errorOf(own, first, importance) * (1 + 1e-6),
        );
      }
    }
  });

  test("takes a tenth of the error off, and more where columns differ", () => {
    const weights = SHAPES[1][1];
    const importance = skewed(256);
    const plain = nearest(form, weights, 64);
    expect(errorOf(weights, searched(form, weights, 64))).toBeLessThan(
      0.9 * errorOf(weights, plain),
    );
    expect(errorOf(weights, searched(form, weights, 64, importance), importance)).toBeLessThan(
      0.7 * errorOf(weights, plain, importance),
    );
  });

  test("loses nothing of weights that lie on a grid with all its codes", () => {
    const onGrid = block((i) => -0.75 + 0.125 * Math.floor((i * MAX_CODE[form]) / 31));
    expect(searched(form, onGrid, 1)).toEqual(onGrid);
  });

  test.each([
    ["zeros", block(() => 0)],
    ["negative zeros", block(() => -0)],
    ["one value", block(() => 0.25)],
    ["one negative value", block(() => -3)],
    ["the smallest subnormals", block((i) => (i % 2) * 1.401298464324817e-45)],
  ])("keeps %s as nearest rounding does", (_, weights) => {
    expect(searched(form, weights, 1)).toEqual(nearest(form, weights, 1));
  });

  test("what the important columns need comes first", () => {
    const weights = randomWeights(32, 11);
    const only = block((i) => (i < 3 ? 1 : 0));
    const back = searched(form, weights, 1, only);
    expect(errorOf(weights, back, only)).toBeLessThan(
      0.3 * errorOf(weights, nearest(form, weights, 1), only),
    );
    expect(back.every(Number.isFinite)).toBe(true);
  });

  test("where no column is important, all are alike", () => {
    const weights = randomWeights(64, 12);
    expect(searched(form, weights, 1, new Float32Array(64))).toEqual(searched(form, weights, 1));
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "refuses %s",
    (value) => {
      for (const at of [0, 13, 31]) {
        const weights = block((i) => (i === at ? value : i));
        expect(() => searched(form, weights, 1)).toThrow(/row 0: a weight is infinite or NaN/);
      }
    },
  );

  test("gives the same bytes on every engine", () => {
    // Pinned: a change here changes every pack's shards.
    const quantizer = searchingQuantizer(form, 256, skewed(256));
    const bytes = packRows(form, randomWeights(48 * 256, 7), 48, 256, quantizer);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(PINNED[form]);
  });
});

const PINNED = {
  q4m: "4a630aae17c40c816da328f66e5d6cec4329aa13cfd2fc085340b66f7c6d4828",
  q4s: "f8257cbb54aea50b92909badb48b0110e1a6d5ad44ca74dfa206820efb07beea",
  q6m: "e0797c8656d13d2fabf8d408a791a0a397b2ca7d3f7991ec5577912c07d4da2e",
};

test.each([undefined, skewed(256)])(
  "scales and minima of 8 bits cost little of what 16 have, chosen together",
  (importance) => {
    const weights = SHAPES[1][1];
    const [long, short] = (["q4m", "q4s"] as const).map((form) =>
      errorOf(weights, searched(form, weights, 64, importance), importance),
    );
    expect(short).toBeLessThan(1.04 * long);
  },
);

test("comes within a twelfth of the best grid that brute force finds", () => {
  let ours = 0;
  let best = 0;
  let plain = 0;
  for (let seed = 0; seed < 12; seed++) {
    const weights = randomWeights(32, 100 + seed);
    const importance = Float64Array.from({ length: 32 }, (_, i) => (i % 8 === seed % 8 ? 20 : 1));
    const low = Math.min(...weights);
    const high = Math.max(...weights);
    const error = (scale: number, minimum: number): number => {
      let sum = 0;
      for (let i = 0; i < 32; i++) {
        const code = Math.max(0, Math.min(15, Math.floor((weights[i] - minimum) / scale + 0.5)));
        sum += importance[i] * (weights[i] - minimum - code * scale) ** 2;
      }
      return sum;
    };
    const fit = { scale: 0, minimum: 0 };
    fitBlock(weights, importance, 0, weights.length, low, high, 15, fit);
    ours += error(fit.scale, fit.minimum);
    plain += error((high - low) / 15, low);
    let least = Number.POSITIVE_INFINITY;
    const step = (high - low) / 15;
    for (let s = 0.5; s <= 1.1; s += 0.002) {
      for (let m = -1; m <= 4; m += 0.02) {
        least = Math.min(least, error(s * step, low + m * step));
      }
    }
    best += least;
  }
  expect(best).toBeLessThan(0.6 * plain);
  expect(ours).toBeLessThan(best * (1 + 1 / 12));
});

describe("columns in groups", () => {
  const rows = 8;
  // 4.5 groups of 128, as SmolLM2 has.
  const cols = 576;
  const weights = randomWeights(rows * cols, 21).map((w, i) => (i % 211 ? w : 4 * w));
  const grouped = (groupCols: number, importance?: Float32Array): Float32Array => {
    const quantizer = searchingQuantizer("q4m", cols, importance, groupCols);
    return unpack("q4m", packRows("q4m", weights, rows, cols, quantizer), rows, cols);
  };

  test.each([64, 128])("of %i have one grid of 16 values, the last of a row too", (groupCols) => {
    const back = grouped(groupCols);
    let most = 0;
    for (let row = 0; row < rows; row++) {
      for (let c = 0; c < cols; c += groupCols) {
        const end = row * cols + Math.min(c + groupCols, cols);
        const values = new Set(back.subarray(row * cols + c, end));
        expect(values.size).toBeLessThanOrEqual(16);
        most = Math.max(most, values.size);
      }
    }
    // Blocks of 32 with their own grids would have more values in a group, these use most of one.
    expect(most).toBeGreaterThan(12);
    const own = grouped(32);
    expect(new Set(own.subarray(0, 128)).size).toBeGreaterThan(16);
  });

  test("a group costs accuracy, the larger the more, and search keeps it below nearest rounding's", () => {
    const [own, two, four] = [32, 64, 128].map((size) => errorOf(weights, grouped(size)));
    expect(two).toBeGreaterThan(own);
    expect(four).toBeGreaterThan(two);
    // Ranges grow with the size, as of normal numbers: not by half more than here.
    expect(four).toBeLessThan(2.2 * own);
  });

  test("importance guides a group as it does a block", () => {
    const importance = skewed(cols);
    const guided = errorOf(weights, grouped(128, importance), importance);
    expect(guided).toBeLessThan(errorOf(weights, grouped(128), importance));
  });
});
