import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import type { GenerateRequest } from "../../../src/generate/request.ts";
import { resolveRequest } from "../../../src/generate/resolve-request.ts";

const limits = {
  vocab: 100,
  ctx: 16,
  contextShift: false,
  bosId: 1,
  eogIds: [2, 7],
  randomSeed: () => 1234,
};

const resolve = (request: Partial<GenerateRequest>) =>
  resolveRequest({ prompt_ids: [1, 2, 3], ...request }, limits);

test("fills in defaults", () => {
  const resolved = resolve({});
  expect(resolved).toMatchObject({ maxTokens: 13, stop: [], topLogprobs: undefined });
  expect(resolved.promptIds).toEqual(Int32Array.of(1, 2, 3));
  expect(resolved.stopIds).toEqual(new Set([2, 7]));
  expect(resolved.sampling.seed).toBe(1234);
});

test("max_tokens never passes the context", () => {
  expect(resolve({ max_tokens: 5 }).maxTokens).toBe(5);
  expect(resolve({ max_tokens: 500 }).maxTokens).toBe(13);
  expect(resolve({ prompt_ids: new Array(16).fill(1) }).maxTokens).toBe(0);
});

test("takes stop_ids instead of the tokenizer's, and none under ignore_eos", () => {
  expect(resolve({ stop_ids: [5] }).stopIds).toEqual(new Set([5]));
  expect(resolve({ stop_ids: [] }).stopIds).toEqual(new Set());
  expect(resolve({ ignore_eos: true, stop_ids: [5] }).stopIds).toEqual(new Set());
});

test("shares nothing that the caller may change later", () => {
  const request = { prompt_ids: [1], logit_bias: new Map([[1, 1]]), stop: ["a"] };
  const resolved = resolve(request);
  request.prompt_ids[0] = 9;
  request.logit_bias.set(1, 50);
  request.stop[0] = "b";
  expect(resolved.promptIds).toEqual(Int32Array.of(1));
  expect(resolved.sampling.logit_bias).toEqual(new Map([[1, 1]]));
  expect(resolved.stop).toEqual(["a"]);
});

test.each<[string, Partial<GenerateRequest>]>([
  ["temperature", { temperature: 0 }],
  ["temperature", { temperature: 2 }],
  ["top_p", { top_p: 0 }],
  ["top_p", { top_p: 1 }],
  ["top_k", { top_k: 1_000_000 }],
  ["top_logprobs", { top_logprobs: 20 }],
  ["max_tokens", { max_tokens: 0 }],
  ["seed", { seed: -(2 ** 63) }],
  ["penalties", { frequency_penalty: -2, presence_penalty: 2, repetition_penalty: 0.01 }],
  ["logit_bias", { logit_bias: new Map([[99, -100]]) }],
  ["stop", { stop: Array.from({ length: 16 }, (_, i) => `${i}`) }],
])("takes %s at its bounds", (_, request) => {
  expect(() => resolve(request)).not.toThrow();
});

describe("refuses", () => {
  const wrong = <T>(value: unknown): T => value as T;
  test.each<[string, Partial<GenerateRequest>, string]>([
    ["prompt_ids", { prompt_ids: [] }, "empty"],
    ["prompt_ids", { prompt_ids: [1, 100] }, "prompt_ids[1]: 100"],
    ["prompt_ids", { prompt_ids: [-1] }, "prompt_ids[0]: -1"],
    ["prompt_ids", { prompt_ids: [1.5] }, "1.5"],
    ["prompt_ids", { prompt_ids: [Number.NaN] }, "NaN"],
    ["prompt_ids", { prompt_ids: wrong("abc") }, "not a list"],
    ["max_tokens", { max_tokens: -1 }, "-1"],
    ["max_tokens", { max_tokens: 1.5 }, "1.5"],
    ["temperature", { temperature: -0.1 }, "-0.1"],
    ["temperature", { temperature: 2.1 }, "2.1"],
    ["temperature", { temperature: Number.NaN }, "NaN"],
    ["temperature", { temperature: wrong("1") }, "1"],
    ["top_p", { top_p: 1.01 }, "1.01"],
    ["top_k", { top_k: -1 }, "-1"],
    ["top_k", { top_k: 2.5 }, "2.5"],
    ["min_p", { min_p: 1.5 }, "1.5"],
    ["typical_p", { typical_p: -0.1 }, "-0.1"],
    ["repetition_penalty", { repetition_penalty: 0 }, "0 is not"],
    ["repetition_penalty", { repetition_penalty: 101 }, "101"],
    ["frequency_penalty", { frequency_penalty: 2.1 }, "2.1"],
    ["presence_penalty", { presence_penalty: -2.1 }, "-2.1"],
    ["logit_bias", { logit_bias: new Map([[100, 1]]) }, "100"],
    ["logit_bias", { logit_bias: new Map([[1, 101]]) }, "101"],
    ["logit_bias", { logit_bias: new Map([[1, Number.NaN]]) }, "NaN"],
    ["logit_bias", { logit_bias: wrong({ 1: 1 }) }, "not a map"],
    ["seed", { seed: 0.5 }, "0.5"],
    ["seed", { seed: 2 ** 65 }, "36893488147419103000"],
    ["top_logprobs", { top_logprobs: 21 }, "21"],
    ["top_logprobs", { top_logprobs: -1 }, "-1"],
    ["stop", { stop: ["a", ""] }, "stop[1] is empty"],
    ["stop", { stop: wrong([1]) }, "stop[0]"],
    ["stop", { stop: wrong("a") }, "not a list"],
    ["stop", { stop: Array.from({ length: 17 }, (_, i) => `${i}`) }, "17"],
    ["stop_ids", { stop_ids: [100] }, "stop_ids[0]: 100"],
    ["stop_ids", { stop_ids: wrong(5) }, "not a list"],
  ])("%s: %o", (param, request, found) => {
    let error: unknown;
    try {
      resolve(request);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PronkError);
    expect(error).toMatchObject({ code: "bad_request", param });
    expect((error as PronkError).message).toContain(found);
    expect((error as PronkError).message).toContain(param);
  });

  test("a prompt longer than the context, with both numbers", () => {
    expect(() => resolve({ prompt_ids: new Array(17).fill(1) })).toThrow(
      expect.objectContaining({
        code: "context_overflow",
        message: "prompt_ids: 17 tokens do not fit the context of 16",
      }),
    );
  });
});
