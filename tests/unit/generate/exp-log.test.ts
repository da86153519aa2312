import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { exp, log, power } from "../../../src/generate/exp-log.ts";
import { bitsAt } from "../../../src/generate/random.ts";

/** Fixed point with this many bits after the point: the oracle, far more exact than a double. */
const PLACES = 160n;
const ONE = 1n << PLACES;

/** Exactly x, for numbers that are not below 2^-150. */
function fixed(x: number): bigint {
  let scale = 0n;
  let value = x;
  while (!Number.isInteger(value)) {
    value *= 2;
    scale++;
  }
  return (BigInt(value) << PLACES) >> scale;
}

/** ln 2 = sum of 1 / (n 2^n). */
const LN2 = (() => {
  let sum = 0n;
  for (let n = 1n; n <= PLACES; n++) sum += (ONE >> n) / n;
  return sum;
})();

/** e^x as m 2^k with m in [1, 2). */
function trueExp(x: number): { m: bigint; k: number } {
  const value = fixed(x);
  let k = value / LN2;
  if (value < 0n) k -= 1n;
  const r = value - k * LN2;
  let term = ONE;
  let sum = ONE;
  for (let n = 1n; n < 60n; n++) {
    term = (term * r) / ONE / n;
    sum += term;
  }
  return { m: sum, k: Number(k) };
}

/** |found - m 2^k| in units in the last place. */
function ulps(found: number, { m, k }: { m: bigint; k: number }): number {
  // In two steps: 2^-k alone may be outside the range of doubles.
  const half = Math.trunc(k / 2);
  const difference = fixed(found * 2 ** -half * 2 ** -(k - half)) - m;
  return Math.abs(Number(difference)) / Number(ONE >> 52n);
}

/** Reproducible numbers in [0, 1). */
const uniform = (n: number): number => Number(bitsAt(7n, n) >> 11n) / 2 ** 53;

test("exp is within 2 units in the last place of the true value", () => {
  let worst = 0;
  for (let n = 0; n < 3000; n++) {
    const scale = [40, 2, 1400][n % 3];
    const x = n % 3 === 0 ? -uniform(n) * scale : (uniform(n) - 0.5) * scale;
    worst = Math.max(worst, ulps(exp(x), trueExp(x)));
  }
  expect(worst).toBeLessThan(2);
  expect(worst).toBeGreaterThan(0.5);
});

test("log is within 2 units in the last place of the true value", () => {
  let worst = 0;
  for (let n = 0; n < 3000; n++) {
    const x = [1 + uniform(n) * 2e5, 0.5 + uniform(n), 2 ** (uniform(n) * 1900 - 950)][n % 3];
    const y = log(x);
    // e^y = m 2^k, so x / e^y - 1 is how far the true logarithm is from y.
    const { m, k } = trueExp(y);
    const half = Math.trunc(k / 2);
    const ratio = (fixed(x * 2 ** -half * 2 ** -(k - half)) * ONE) / m;
    const ulp = 2 ** (Math.floor(Math.log2(Math.abs(y))) - 52);
    worst = Math.max(worst, Math.abs(Number(ratio - ONE)) / Number(ONE) / ulp);
  }
  expect(worst).toBeLessThan(2);
  expect(worst).toBeGreaterThan(0.5);
});

test("exp and log agree with this engine's own to 4 units in the last place", () => {
  let worst = 0;
  for (let n = 0; n < 20_000; n++) {
    const x = (uniform(n) - 0.5) * 1400;
    const y = Math.exp(x);
    worst = Math.max(worst, Math.abs(exp(x) - y) / y);
    worst = Math.max(worst, Math.abs((log(y) - Math.log(y)) / Math.log(y)));
  }
  expect(worst).toBeLessThan(4 * 2 ** -52);
});

test.each([
  ["exp(0)", exp(0), 1],
  ["exp(-0)", exp(-0), 1],
  ["exp(1)", exp(1), Math.E],
  ["exp(-Infinity)", exp(Number.NEGATIVE_INFINITY), 0],
  ["exp(Infinity)", exp(Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY],
  ["exp(NaN)", exp(Number.NaN), Number.NaN],
  ["exp(-708)", exp(-708), 0],
  ["exp(710)", exp(710), Number.POSITIVE_INFINITY],
  ["log(1)", log(1), 0],
  ["log(0)", log(0), Number.NEGATIVE_INFINITY],
  ["log(-1)", log(-1), Number.NaN],
  ["log(NaN)", log(Number.NaN), Number.NaN],
  ["log(Infinity)", log(Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY],
  ["log of the least subnormal", log(5e-324), -744.4400719213812],
])("%s is as defined", (_, found, expected) => {
  expect(found).toBe(expected);
});

test("every bit of both functions is the one that was released", () => {
  const values = new Float64Array(20_000);
  for (let n = 0; n < 10_000; n++) {
    values[2 * n] = exp((uniform(n) - 0.5) * 1400);
    values[2 * n + 1] = log(uniform(n) * 2 ** (n % 600));
  }
  const bytes = new Uint8Array(values.buffer);
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(
    "24f7c692e1b3370d98e74c7e0ffa2035ba4bc3add60b1a7ff8c05ce3617003d0",
  );
});

test.each([
  [1.4, 0],
  [1.4, 1],
  [1.4, 17],
  [-3, 3],
  [12, -2],
  [0.97, 1000],
  [11, 0.8],
  [4, -0.5],
  [30, 1.75],
])("%f to the power of %f is within a millionth of a millionth", (base, exponent) => {
  const expected = base ** exponent;
  expect(Math.abs(power(base, exponent) / expected - 1)).toBeLessThan(1e-12);
});
