import { expect, test } from "vitest";
import { answerSpans } from "../../../../src/llama/pipelines/answer-spans.ts";

const logits = (...values: number[]): Float32Array => Float32Array.from(values);
const all = [1, 1, 1, 1];

test("the best spans come first, as many as there should be", () => {
  const starts = logits(-9, 2, 0.5, 0);
  const ends = logits(-9, 0, 1, 2);
  const { spans } = answerSpans(starts, ends, { allowed: all, count: 3, maxTokens: 15 });
  expect(spans.map(({ start, end }) => [start, end])).toEqual([
    [1, 3],
    [1, 2],
    [2, 3],
  ]);
  const every = answerSpans(starts, ends, { allowed: all, count: 99, maxTokens: 15 }).spans;
  expect(every.length).toBe(6);
  expect(every.slice(0, 3)).toEqual(spans);
  expect(every.map(({ score }) => score)).toEqual(
    every.map(({ score }) => score).toSorted((a, b) => b - a),
  );
});

test("no span begins with the first token, which stands for no answer", () => {
  const { spans, nullScore } = answerSpans(logits(9, 1, 1, 1), logits(9, 1, 1, 1), {
    allowed: all,
    count: 99,
    maxTokens: 15,
  });
  expect(spans.every(({ start }) => start > 0)).toBe(true);
  expect(nullScore).toBeGreaterThan(0.9);
});

test("spans are no longer than they may be, and keep to the tokens that count", () => {
  const rules = { allowed: [0, 1, 0, 1], count: 99, maxTokens: 2 };
  const { spans } = answerSpans(logits(0, 1, 5, 1), logits(0, 1, 5, 1), rules);
  expect(spans.map(({ start, end }) => [start, end])).toEqual([
    [1, 1],
    [3, 3],
  ]);
});
