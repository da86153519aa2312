import { expect, test } from "vitest";
import { bitsAt, toSeed, uniformAt } from "../../../src/generate/random.ts";

test("gives the published outputs of SplitMix64", () => {
  const outputs = [0, 1, 2, 3, 4].map((n) => bitsAt(1234567n, n));
  // From https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64.
  expect(outputs).toEqual([
    6457827717110365317n,
    3203168211198807973n,
    9817491932198370423n,
    4593380528125082431n,
    16408922859458223821n,
  ]);
});

test("takes every integer as a seed, modulo 2^64", () => {
  expect(toSeed(-1)).toBe(2n ** 64n - 1n);
  expect(toSeed(2n ** 64n + 5n)).toBe(5n);
  expect(toSeed(2 ** 63)).toBe(2n ** 63n);
  expect(toSeed(Number.MAX_SAFE_INTEGER)).toBe(9007199254740991n);
});

test("uniform numbers are in [0, 1) and evenly spread", () => {
  const buckets = new Array<number>(64).fill(0);
  for (let n = 0; n < 64_000; n++) {
    const u = uniformAt(42n, n);
    // Outside [0, 1) this makes a NaN, which fails below.
    buckets[Math.floor(u * 64)]++;
  }
  expect(Object.keys(buckets)).toHaveLength(64);
  // Chi squared with 63 degrees of freedom: 116 has a probability of 5e-5; the seed is fixed.
  const chi = buckets.reduce((sum, found) => sum + (found - 1000) ** 2 / 1000, 0);
  expect(chi).toBeLessThan(116);
  expect(chi).toBeGreaterThan(25);
});

test("neighbouring seeds give unrelated numbers", () => {
  let sum = 0;
  for (let seed = 0n; seed < 4000n; seed++) {
    sum += (uniformAt(seed, 0) - 0.5) * (uniformAt(seed + 1n, 0) - 0.5);
  }
  // The product's standard deviation is 1/12, its mean's 1/12/sqrt(4000) = 0.0013.
  expect(Math.abs(sum / 4000)).toBeLessThan(0.004);
});
