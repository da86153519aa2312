import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LEAST_LOGPROB, tokenLogprobs } from "../../../src/generate/logprobs.ts";

const path = new URL("../../goldens/processors/processors.json", import.meta.url);
const golden = JSON.parse(readFileSync(path, "utf8")).cases.find(
  ({ name }: { name: string }) => name === "LogitNormalization/log_softmax",
);

test("equals torch's log_softmax within the rounding of its f32", () => {
  golden.scores.forEach((row: number[], n: number) => {
    const logits = Float32Array.from(row);
    for (let id = 0; id < row.length; id++) {
      const { logprob } = tokenLogprobs(logits, id, 0);
      // Log-probabilities reach -20, where an f32 ulp is 2e-6.
      expect(Math.abs(logprob - golden.out[n][id])).toBeLessThan(4e-6);
    }
  });
});

test("reports the likeliest first, equal ones by id, and the chosen token last when it is not one", () => {
  const logits = Float32Array.of(1, 5, 2, 5, 4);
  const { logprob, top_logprobs } = tokenLogprobs(logits, 0, 3);
  expect(top_logprobs.map(({ token }) => token)).toEqual([1, 3, 4, 0]);
  expect(top_logprobs[3].logprob).toBe(logprob);
  expect(top_logprobs[0].logprob).toBe(top_logprobs[1].logprob);
  expect(top_logprobs[0].logprob - logprob).toBe(4);
});

test("does not repeat a chosen token that is among the likeliest", () => {
  const { top_logprobs } = tokenLogprobs(Float32Array.of(1, 5, 2), 1, 2);
  expect(top_logprobs.map(({ token }) => token)).toEqual([1, 2]);
});

test("probabilities of all tokens add up to 1", () => {
  const logits = Float32Array.from({ length: 20 }, (_, i) => (i * 7) % 11);
  const { top_logprobs } = tokenLogprobs(logits, 0, 20);
  const sum = top_logprobs.reduce((total, { logprob }) => total + Math.exp(logprob), 0);
  expect(sum).toBeCloseTo(1, 14);
});

test("stays finite on impossible tokens", () => {
  const logits = Float32Array.of(0, Number.NEGATIVE_INFINITY, -3e38);
  const { top_logprobs } = tokenLogprobs(logits, 1, 3);
  expect(top_logprobs).toEqual([
    { token: 0, logprob: 0 },
    { token: 2, logprob: LEAST_LOGPROB },
    { token: 1, logprob: LEAST_LOGPROB },
  ]);
});

test("refuses logits that are not numbers", () => {
  expect(() => tokenLogprobs(Float32Array.of(0, Number.NaN), 0, 1)).toThrow(/not|NaN/);
});
