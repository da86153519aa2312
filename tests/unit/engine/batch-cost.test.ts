import { expect, test } from "vitest";
import { BatchCost, relativeCost } from "../../../src/engine/batch-cost.ts";

test("stands on what the kernels took elsewhere where the clock stands still", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 100; n++) cost.observe(1 + (n % 16), 0);
  expect(cost.of(1)).toBe(1);
  expect(cost.of(16) / cost.of(8)).toBeCloseTo(relativeCost(16) / relativeCost(8));
  expect(cost.of(8)).toBeGreaterThan(4);
});

test("comes to what is measured, by tiles of 4 rows", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 200; n++) {
    cost.observe(1, 10);
    cost.observe(8, 15);
  }
  expect(cost.of(1)).toBeCloseTo(10, 1);
  expect(cost.of(8)).toBeCloseTo(15, 0);
  expect(cost.of(5)).toBeCloseTo(15, 0);
});

test("takes what was not measured for a little cheaper than its neighbours say", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 50; n++) cost.observe(1, 10);
  expect(cost.of(4)).toBeLessThan(10 * relativeCost(4));
  expect(cost.of(4)).toBeGreaterThan(5 * relativeCost(4));
});

test("a batch that was interrupted counts little", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 100; n++) cost.observe(1, 10);
  cost.observe(1, 10_000);
  expect(cost.of(1)).toBeLessThan(10.5);
});

test("forgets what was measured long ago, so that it is tried again", () => {
  const cost = new BatchCost();
  for (let n = 0; n < 20; n++) cost.observe(1, 10);
  for (let n = 0; n < 20; n++) cost.observe(8, 1000);
  expect(cost.of(8)).toBeGreaterThan(90);
  for (let n = 0; n < 600; n++) cost.observe(1, 10);
  expect(cost.of(8)).toBeLessThan(10 * relativeCost(8));
});
