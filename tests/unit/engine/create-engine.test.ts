import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { collect, settle, toyEngine } from "./toy-engine.ts";
import { toyGreedy } from "./toy-runner.ts";
import { toyTokenizer } from "./toy-tokenizer.ts";

const greedy = { temperature: 0, ignore_eos: true };

test("generates what the model says, part by part and as a result", async () => {
  const { engine } = toyEngine();
  const generation = engine.stream({ prompt_ids: [5, 6, 7], max_tokens: 12, ...greedy });
  const parts = await collect(generation);
  const result = await generation.result;

  const expected = toyGreedy([5, 6, 7], 12);
  expect(parts.map(({ token }) => token)).toEqual(expected);
  expect(result.ids).toEqual(expected);
  expect(parts.map(({ text }) => text).join("")).toBe(result.text);
  expect(result.text).toBe(engine.tokenizer.decode(expected));
  expect(parts.map((part) => part.finish_reason)).toEqual([
    ...new Array(11).fill(undefined),
    "length",
  ]);
  expect(result.finish_reason).toBe("length");
});

test("says what runs", () => {
  const { engine } = toyEngine({ ctx: 99, slots: 3 });
  expect(engine.info).toMatchObject({ id: "toy", fingerprint: "fp_toy", ctx: 99, slots: 3 });
  expect(engine.template).toBeUndefined();
});

test.each([
  ["maxQueue", { maxQueue: -1 }],
  ["maxQueue", { maxQueue: Number.NaN }],
  ["prefillRows", { prefillRows: 0 }],
])("refuses %s out of range: %o", (param, options) => {
  expect(() => toyEngine({}, options)).toThrow(
    expect.objectContaining({ code: "bad_request", param }),
  );
});

describe("prompts", () => {
  test.each([
    [1, 8],
    [7, 8],
    [8, 8],
    [9, 8],
    [100, 8],
    [100, 1],
    [100, 64],
  ])("of %i tokens in chunks of %i give the same tokens", async (length, prefillRows) => {
    const prompt = Array.from({ length }, (_, i) => (i * 7 + 1) % 64);
    const { engine, runner } = toyEngine({ maxRows: 64 }, { prefillRows });
    const { ids } = await engine.generate({ prompt_ids: prompt, max_tokens: 5, ...greedy });
    expect(ids).toEqual(toyGreedy(prompt, 5));
    expect(runner.batches).toHaveLength(Math.ceil(length / prefillRows) + 4);
  });

  test("longer than the context are refused with both numbers", async () => {
    const { engine, runner } = toyEngine({ ctx: 16 });
    const prompt_ids = new Array(17).fill(1);
    await expect(engine.generate({ prompt_ids })).rejects.toMatchObject({
      code: "context_overflow",
      message: expect.stringMatching(/17.*16/),
    });
    expect(runner.batches).toHaveLength(0);
  });
});

describe("ends", () => {
  test("at the end of the context, by length", async () => {
    const { engine } = toyEngine({ ctx: 16 });
    const { ids, finish_reason } = await engine.generate({ prompt_ids: [1, 2, 3], ...greedy });
    expect(ids).toEqual(toyGreedy([1, 2, 3], 13));
    expect(finish_reason).toBe("length");
  });

  test("at once when the prompt fills the context", async () => {
    const { engine, runner } = toyEngine({ ctx: 16 });
    const result = await engine.generate({ prompt_ids: new Array(16).fill(1), ...greedy });
    expect(result).toMatchObject({ ids: [], text: "", finish_reason: "length" });
    expect(runner.batches).toHaveLength(0);
  });

  test("at once for max_tokens 0, without a part", async () => {
    const { engine, runner } = toyEngine();
    const generation = engine.stream({ prompt_ids: [1], max_tokens: 0, top_logprobs: 2, seed: 5 });
    expect(await collect(generation)).toEqual([]);
    expect(await generation.result).toEqual({
      ids: [],
      text: "",
      finish_reason: "length",
      timings: {
        queue_ms: 0,
        prompt_n: 1,
        prompt_ms: 0,
        predicted_n: 0,
        predicted_ms: 0,
        cached_n: 0,
        draft_n: 0,
        draft_n_accepted: 0,
      },
      seed: 5,
      logprobs: [],
    });
    expect(runner.batches).toHaveLength(0);
  });

  test("at a stop id, which is in the ids and not in the text", async () => {
    const expected = toyGreedy([9, 8], 20);
    const stop = expected[4];
    const { engine } = toyEngine();
    const request = { prompt_ids: [9, 8], max_tokens: 20, temperature: 0, stop_ids: [stop] };
    const generation = engine.stream(request);
    const parts = await collect(generation);
    const result = await generation.result;
    const end = expected.indexOf(stop);
    expect(result.ids).toEqual(expected.slice(0, end + 1));
    expect(result.text).toBe(engine.tokenizer.decode(expected.slice(0, end)));
    expect(parts.at(-1)).toEqual({ token: stop, text: "", finish_reason: "stop" });
  });

  test("at the tokenizer's own end of text unless that is ignored", async () => {
    const expected = toyGreedy([3, 4], 10);
    const tokenizer = toyTokenizer(undefined, [expected[2]]);
    const { engine } = toyEngine({}, { tokenizer });
    const request = { prompt_ids: [3, 4], max_tokens: 10, temperature: 0 };
    const end = expected.indexOf(expected[2]) + 1;
    expect((await engine.generate(request)).ids).toEqual(expected.slice(0, end));
    expect((await engine.generate({ ...request, ignore_eos: true })).ids).toEqual(expected);
  });

  test("at a stop text across tokens, which is not in the text", async () => {
    const expected = toyGreedy([1, 2, 3], 20);
    const { engine } = toyEngine();
    const all = engine.tokenizer.decode(expected);
    const stop = all.slice(5, 8);
    const generation = engine.stream({
      prompt_ids: [1, 2, 3],
      max_tokens: 20,
      ...greedy,
      stop: [stop],
    });
    const parts = await collect(generation);
    const result = await generation.result;
    expect(result.text).toBe(all.slice(0, all.indexOf(stop)));
    expect(result.finish_reason).toBe("stop");
    expect(parts.map(({ text }) => text).join("")).toBe(result.text);
    expect(parts.at(-1)!.finish_reason).toBe("stop");
    expect(result.ids).toEqual(expected.slice(0, result.ids.length));
  });
});

test("holds incomplete code points back and shows the last as U+FFFD", async () => {
  const [, , third] = toyGreedy([1], 3);
  // Every token is a lone first byte of a two-byte code point, except the third, its second byte.
  const pieces = Array.from({ length: 64 }, (_, id) => Uint8Array.of(id === third ? 0xa9 : 0xc3));
  const { engine } = toyEngine({}, { tokenizer: toyTokenizer(pieces, []) });
  const generation = engine.stream({ prompt_ids: [1], max_tokens: 3, temperature: 0 });
  const parts = await collect(generation);
  expect(parts.map(({ text }) => text)).toEqual(["", "\ufffd", "é"]);
  const cut = await engine.generate({ prompt_ids: [1], max_tokens: 2, temperature: 0 });
  expect(cut.text).toBe("\ufffd\ufffd");
});

test("reports log-probabilities of the raw logits, with the chosen token among them", async () => {
  const { engine } = toyEngine();
  const request = { prompt_ids: [1, 2], max_tokens: 6, ignore_eos: true, seed: 3 };
  const generation = engine.stream({ ...request, temperature: 2, top_logprobs: 2 });
  const parts = await collect(generation);
  const { logprobs } = await generation.result;
  expect(logprobs).toEqual(parts.map(({ logprob, top_logprobs }) => ({ logprob, top_logprobs })));
  for (const { token, logprob, top_logprobs } of parts) {
    expect(top_logprobs!.find((one) => one.token === token)!.logprob).toBe(logprob);
    expect(top_logprobs!.length).toBeLessThanOrEqual(3);
  }
  // Temperature changes draws, never the reported numbers.
  const plain = await engine.generate({ ...request, temperature: 0, top_logprobs: 0 });
  const first = parts[0].top_logprobs![0];
  expect(plain.logprobs![0].logprob).toBe(first.logprob);
  expect(plain.logprobs![0].top_logprobs).toEqual([first]);
});

describe("seeds", () => {
  const request = { prompt_ids: [1, 2, 3], max_tokens: 30, ignore_eos: true };

  test("give the same text again, and another seed another text", async () => {
    const { engine } = toyEngine();
    const [a, b, c] = await Promise.all(
      [7, 7, 8].map((seed) => engine.generate({ ...request, seed })),
    );
    expect(b!.ids).toEqual(a!.ids);
    expect(c!.ids).not.toEqual(a!.ids);
    expect([a!.seed, c!.seed]).toEqual([7, 8]);
  });

  test("that are absent are drawn from the runtime and reported", async () => {
    const { engine } = toyEngine({}, { runtime: { randomSeed: () => 777 } });
    const drawn = await engine.generate(request);
    expect(drawn.seed).toBe(777);
    expect((await engine.generate({ ...request, seed: 777 })).ids).toEqual(drawn.ids);
  });
});

describe("refuses before anything runs", () => {
  test.each([
    ["an empty prompt", { prompt_ids: [] }, "bad_request", "prompt_ids"],
    ["an id outside the vocabulary", { prompt_ids: [64] }, "bad_request", "prompt_ids"],
    [
      "a temperature out of range",
      { prompt_ids: [1], temperature: 3 },
      "bad_request",
      "temperature",
    ],
    ["a signal that has fired", { prompt_ids: [1] }, "aborted", undefined],
  ])("%s", async (_, request, code, param) => {
    const { engine, runner } = toyEngine();
    const signal = code === "aborted" ? AbortSignal.abort() : undefined;
    const generation = engine.stream(request, { signal });
    await expect(collect(generation)).rejects.toMatchObject({ code, param });
    await expect(generation.result).rejects.toMatchObject({ code, param });
    await expect(engine.generate(request, { signal })).rejects.toBeInstanceOf(PronkError);
    await settle();
    expect(runner.batches).toHaveLength(0);
    expect(engine.stats()).toMatchObject({ busy: 0, queued: 0, requests: 0 });
  });
});

test("counts requests and tokens", async () => {
  const { engine } = toyEngine();
  await engine.generate({ prompt_ids: [1, 2, 3], max_tokens: 4, ...greedy });
  await engine.generate({ prompt_ids: [1, 2, 3], max_tokens: 2, ...greedy });
  expect(engine.stats()).toEqual({
    slots: 2,
    busy: 0,
    queued: 0,
    requests: 2,
    prompt_tokens: 6,
    cached_tokens: 2,
    generated_tokens: 6,
    draft_tokens: 0,
    accepted_draft_tokens: 0,
    context_shifts: 0,
    adapter_bytes: 0,
  });
});

test("measures by the injected clock", async () => {
  const { engine, runner, clock } = toyEngine({ slots: 1, maxRows: 4 });
  runner.before = () => {
    clock.ms += 10;
  };
  const first = engine.generate({ prompt_ids: [1, 2, 3, 4, 5, 6], max_tokens: 3, ...greedy });
  const second = engine.generate({ prompt_ids: [9], max_tokens: 1, ...greedy });
  expect((await first).timings).toEqual({
    queue_ms: 0,
    prompt_n: 6,
    prompt_ms: 20,
    predicted_n: 3,
    predicted_ms: 20,
    cached_n: 0,
    draft_n: 0,
    draft_n_accepted: 0,
  });
  expect((await second).timings).toMatchObject({ queue_ms: 40, prompt_ms: 10, predicted_ms: 0 });
});

test("waits a macrotask per batch", async () => {
  const { engine, runner, clock } = toyEngine();
  await engine.generate({ prompt_ids: new Array(20).fill(3), max_tokens: 9, ...greedy });
  expect(runner.batches).toHaveLength(3 + 8);
  expect(clock.yields).toBe(3 + 8);
});

test("runs one batch a round when several callers wait", async () => {
  const { engine, runner, clock } = toyEngine({ slots: 3, maxRows: 64 });
  const requests = [1, 2, 3].map((n) => ({ prompt_ids: [n], max_tokens: 20, ...greedy }));
  await Promise.all(requests.map((request) => engine.generate(request)));
  expect(runner.batches).toHaveLength(20);
  expect(clock.yields).toBeGreaterThanOrEqual(3 * 20);
  expect(clock.yields).toBeLessThanOrEqual(3 * 21);
});

test("penalties know what was generated", async () => {
  const { engine } = toyEngine();
  const { ids } = await engine.generate({
    prompt_ids: [1],
    max_tokens: 60,
    ...greedy,
    logit_bias: new Map([[5, 100]]),
    frequency_penalty: 2,
  });
  // Token 5 leads by about 100 and loses 2 each time.
  expect(new Set(ids.slice(0, 40))).toEqual(new Set([5]));
  expect(ids.slice(40).some((id) => id !== 5)).toBe(true);
});
