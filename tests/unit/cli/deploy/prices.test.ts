import { expect, test } from "vitest";
import { dollars } from "../../../../src/cli/deploy/plan.ts";
import { costOf, estimatedCpu } from "../../../../src/cli/deploy/prices.ts";

test("a cost is its amounts times the prices", () => {
  const cpu = { promptMs: 2, outputMs: 5, source: "given" };
  const cost = costOf(cpu, { objects: 7, bytes: 100e6, readsPerStart: 9, engines: 0 });
  // 5 s of CPU at $0.02 per million ms.
  expect(cost.per1000OutputTokens).toBeCloseTo(0.0001, 12);
  expect(cost.per1000PromptTokens).toBeCloseTo(0.00004, 12);
  // Reads are $0.36 per million; writes, of 7 objects and of the manifest twice and the list, $4.50.
  expect(cost.perStart).toBeCloseTo(9 * 0.36e-6, 12);
  expect(cost.perUpload).toBeCloseTo(10 * 4.5e-6, 12);
  expect(cost.storagePerMonth).toBeCloseTo(0.0015, 12);
  expect(cost.includedOutputTokens).toBe(6_000_000);
});

test("objects that are awake cost what their memory does, by the hour", () => {
  const cpu = { promptMs: 2, outputMs: 5, source: "given" };
  const use = { objects: 7, bytes: 100e6, readsPerStart: 9 };
  expect(costOf(cpu, { ...use, engines: 0 }).objectsPerHour).toBeNull();
  // 128 MB for 3,600 s each, at $12.50 for a million GB-s.
  expect(costOf(cpu, { ...use, engines: 2 }).objectsPerHour).toBeCloseTo(0.01152, 12);
});

test("an estimate scales with the weights", () => {
  const small = estimatedCpu(96_986_112);
  expect(1000 / small.outputMs).toBeCloseTo(233.3, 6);
  expect(estimatedCpu(2 * 96_986_112).promptMs).toBeCloseTo(2 * small.promptMs, 9);
});

test.each([
  [0, "$0.00"],
  [12.345, "$12.35"],
  [0.0001238, "$0.00012"],
  [0.00000324, "$0.0000032"],
])("%f dollars are %s", (amount, text) => {
  expect(dollars(amount)).toBe(text);
});
