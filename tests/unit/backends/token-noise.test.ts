import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { drawToken } from "../../../src/backends/row-choices.ts";
import { gumbel, noiseBits, noiseFraction } from "../../../src/backends/token-noise.ts";

/** Sum of (found - expected)^2 / expected. */
function chiSquared(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < found.length; i++) sum += (found[i] - expected[i]) ** 2 / expected[i];
  return sum;
}

/** What a chi-squared of so many degrees stays below but once in 30,000 times (Wilson and Hilferty, 1931). */
function bound(degrees: number): number {
  const part = 2 / (9 * degrees);
  return degrees * (1 - part + 4 * Math.sqrt(part)) ** 3;
}

const COUNT = 1 << 16;
const walks: [string, (n: number) => number][] = [
  ["ids", (n) => noiseBits(1, 0, 0, n)],
  ["ids of another token", (n) => noiseBits(1, 0, 1, n)],
  ["places", (n) => noiseBits(1, 0, n, 7)],
  ["seeds", (n) => noiseBits(n, 0, 3, 7)],
  ["upper words of seeds", (n) => noiseBits(5, n, 3, 7)],
];

describe.each(walks)("along %s the bits", (_, bitsOf) => {
  test("are as often each of 256 values, at every place", () => {
    for (const shift of [0, 8, 16, 24]) {
      const found = new Float64Array(256);
      for (let n = 0; n < COUNT; n++) found[(bitsOf(n) >>> shift) & 255]++;
      const expected = new Float64Array(256).fill(COUNT / 256);
      expect(chiSquared(found, expected)).toBeLessThan(bound(255));
    }
  });

  test("tell nothing of their neighbours", () => {
    const found = new Float64Array(256);
    for (let n = 0; n < COUNT; n++) found[((bitsOf(n) >>> 28) << 4) | (bitsOf(n + 1) >>> 28)]++;
    const expected = new Float64Array(256).fill(COUNT / 256);
    expect(chiSquared(found, expected)).toBeLessThan(bound(255));
  });
});

test("are those that the page for shaders lists", () => {
  const page = readFileSync("docs/webgpu.md", "utf8");
  const rows = [...page.matchAll(/^\| ([\d, ]+) \| 0x([0-9a-f]{8}) \| (\S+) \| (\S+) \|$/gm)];
  expect(rows).toHaveLength(5);
  for (const [, words, bits, fraction, noise] of rows) {
    const [low, high, index, id] = words.split(", ").map(Number);
    const found = noiseBits(low, high, index, id);
    expect(found).toBe(Number.parseInt(bits, 16));
    expect(noiseFraction(found)).toBeCloseTo(Number(fraction), 8);
    expect(gumbel(noiseFraction(found))).toBeCloseTo(Number(noise), 7);
  }
});

test("a fraction is an f32 between 0 and 1, whatever the bits", () => {
  for (const bits of [0, 1, 2, 2 ** 24 - 1, 2 ** 24, 2 ** 24 + 255, 2 ** 31, 2 ** 32 - 1]) {
    const fraction = noiseFraction(bits);
    expect(Math.fround(fraction)).toBe(fraction);
    expect(fraction).toBeGreaterThan(0);
    expect(fraction).toBeLessThan(1);
    expect(Math.abs(fraction * 2 ** 32 - bits)).toBeLessThan(256);
  }
});

test("noise is -log(-log(1 - v)), in f32, also where v is small", () => {
  for (let v = 2 ** -32; v < 1; v *= 1.37) {
    const exact = -Math.log(-Math.log1p(-v));
    expect(Math.abs(gumbel(v) - exact)).toBeLessThan(1e-6 * Math.max(1, Math.abs(exact)));
  }
  expect(gumbel(1 - 2 ** -24)).toBeCloseTo(-Math.log(24 * Math.LN2), 6);
});

describe("a draw", () => {
  const LOGITS = Float32Array.from([2, 1, 0, -1, 1.5, Number.NEGATIVE_INFINITY, 0.5, 2, -3]);

  test.each([0.5, 1, 1.7])("at %d takes each token as often as softmax says", (temperature) => {
    const weights = Array.from(LOGITS, (logit) => Math.exp(logit / temperature));
    const total = weights.reduce((sum, weight) => sum + weight);
    const draws = 20_000;
    const found = LOGITS.map(() => 0);
    for (let n = 0; n < draws; n++) {
      found[drawToken(LOGITS, { temperature, seed: BigInt(n), index: n % 5 })]++;
    }
    expect(found[5]).toBe(0);
    const possible = (all: ArrayLike<number>): number[] =>
      Array.from(all).filter((_, id) => id !== 5);
    const expected = weights.map((weight) => (draws * weight) / total);
    expect(chiSquared(possible(found), possible(expected))).toBeLessThan(bound(7));
  });

  test("from many like tokens takes each part of the vocabulary as often", () => {
    const flat = new Float32Array(1024);
    const found = new Float64Array(16);
    for (let n = 0; n < 1600; n++) {
      found[drawToken(flat, { temperature: 1, seed: 9n, index: n }) >> 6]++;
    }
    expect(chiSquared(found, new Float64Array(16).fill(100))).toBeLessThan(bound(15));
  });

  test("is another one by another seed, of either word, and at another place", () => {
    const flat = new Float32Array(4096);
    const at = (seed: bigint, index: number): number =>
      drawToken(flat, { temperature: 1, seed, index });
    const draws = [at(1n, 0), at(2n, 0), at(1n + (1n << 32n), 0), at(1n, 1)];
    expect(new Set(draws).size).toBe(4);
    expect(at(1n, 0)).toBe(draws[0]);
  });
});
