import { expect, test } from "vitest";
import { BatchCost, relativeCost } from "../../../src/engine/batch-cost.ts";

test("stands on what the kernels took elsewhere where the clock stands still", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 100; n++) cost.observe(1 + (n % 16), 0);
  expect(cost.of(1)).toBe(1);
  expect(cost.of(16) / cost.of(8)).toBeCloseTo(relativeCost(16) / relativeCost(8));
  expect(cost.of(8)).toBeGreaterThan(4);
  expect(cost.unitMs).toBe(0);
});

test("comes to what is measured, as whole tiles of 4 rows or row by row", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 600; n++) cost.observe(n % 4 === 3 ? 8 : 1, n % 4 === 3 ? 15 : 10);
  expect(cost.unitMs).toBeCloseTo(10, 1);
  expect(cost.of(8)).toBeCloseTo(1.5, 1);
  expect(cost.of(5) / cost.of(8)).toBeCloseTo(relativeCost(5) / relativeCost(8));
  expect(cost.of(13)).toBe(cost.of(16));
  // A little cheaper than its neighbour says.
  expect(cost.of(16) / relativeCost(16)).toBeLessThan(cost.of(8) / relativeCost(8));
});

test("compares batches of several rows alone, too", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 400; n++) cost.observe(n % 2 ? 4 : 8, n % 2 ? 20 : 22);
  expect(cost.of(8) / cost.of(4)).toBeCloseTo(1.1, 1);
});

test("a machine that is slower for a while changes nothing", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 1000; n++) {
    const slow = n % 100 < 50 ? 1 : 3;
    cost.observe(n % 10 ? 1 : 8, slow * (n % 10 ? 10 : 56));
  }
  expect(cost.of(8)).toBeGreaterThan(5);
  expect(cost.of(8)).toBeLessThan(6.5);
});

test("a batch that was interrupted counts little", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 100; n++) cost.observe(n % 2 ? 1 : 8, n % 2 ? 10 : 56);
  const before = cost.of(8);
  cost.observe(8, 10_000);
  cost.observe(1, 10_000);
  expect(cost.of(8)).toBeLessThan(1.1 * before);
  expect(cost.unitMs).toBeLessThan(20);
});

test("forgets what was measured long ago, so that it is tried again", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 60; n++) cost.observe(n % 3 ? 1 : 8, n % 3 ? 10 : 1000);
  expect(cost.of(8)).toBeGreaterThan(2 * relativeCost(8));
  for (let n = 0; n < 600; n++) cost.observe(1, 10);
  expect(cost.of(8)).toBeLessThan(relativeCost(8));
});
