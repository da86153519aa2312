/** Tokens that are run ahead change when tokens come and nothing else. */
import { describe, expect, test } from "vitest";
import type { EngineOptions } from "../../../src/engine/create-engine.ts";
import { RUN_AHEAD_PARTS } from "../../../src/engine/leases.ts";
import { SPECULATED_ROWS } from "../../../src/engine/speculator.ts";
import type { GenerateRequest, GenerateResult } from "../../../src/generate/request.ts";
import { collect, nextTask, settle, type TestEngine, toyEngine, toyModel } from "./toy-engine.ts";
import { type ToyOptions, type ToyRunner, toyGreedy } from "./toy-runner.ts";
import { toyTokenizer } from "./toy-tokenizer.ts";

const greedy = { temperature: 0, ignore_eos: true };
/** A model of the last two tokens: whatever it says, it soon says again. */
const forgetful = { memory: 2, vocab: 64, ctx: 160 };

/** It runs tokens ahead by itself, too. */
const choosing = { ...forgetful, chooser: { ahead: 2, most: 16 } };

/** An engine whose batches take as long whatever their rows are, so that running ahead always pays. */
function eager(toy: ToyOptions, options: EngineOptions = {}): TestEngine<ToyRunner> {
  const made = toyEngine({ maxRows: 24, maxLogits: 20, ...toy }, options);
  made.runner.before = () => {
    made.clock.ms++;
  };
  return made;
}

const draftOf = (toy: ToyOptions) => ({ speculate: { draft: toyModel({ slots: 4, ...toy }) } });

const prompt = (length: number, salt: number): number[] =>
  Array.from({ length }, (_, i) => ((i % (5 + salt)) * 11 + salt * 17 + 1) % 64);

const requests: GenerateRequest[] = Array.from({ length: 14 }, (_, n) => ({
  prompt_ids: prompt(1 + ((n * 13) % 40), n % 4),
  max_tokens: 1 + ((n * 29) % 90),
  seed: n,
  ...[
    { temperature: 0, ignore_eos: true },
    { temperature: 0.4 },
    { temperature: 0.3, top_p: 0.7, repetition_penalty: 1.05, top_logprobs: 2 },
    { temperature: 0, frequency_penalty: 0.1, top_logprobs: 0 },
    { temperature: 0, ignore_eos: true, stop: ["ab", "Z0", "kk"] },
    { temperature: 0.5, top_k: 8, min_p: 0.02, logit_bias: new Map([[3, 2]]) },
    { temperature: 0, prediction_ids: prompt(50, n % 4) },
  ][n % 7],
}));

const said = ({ ids, text, finish_reason, logprobs }: GenerateResult) => ({
  ids,
  text,
  finish_reason,
  logprobs,
});

describe.each([
  ["at once", false],
  ["asynchronously", true],
])("with a runner that runs %s", (_, async) => {
  test.each([
    ["the text itself", "lookup" as const, forgetful],
    ["the same model", draftOf({ ...forgetful, async }).speculate, forgetful],
    ["a model that is always wrong", draftOf({ ...forgetful, weights: 99 }).speculate, forgetful],
    ["a draft in a short context", draftOf({ ...forgetful, ctx: 40 }).speculate, forgetful],
    ["a draft of few rows", draftOf({ ...forgetful, maxRows: 3 }).speculate, forgetful],
    ["the text itself, to a runner that chooses", "lookup" as const, choosing],
    ["a model that chooses, to one that does", draftOf({ ...choosing, async }).speculate, choosing],
  ])("the output is the same with proposals from %s", async (_name, speculate, toy) => {
    const { engine: plain } = toyEngine({ ...toy, slots: 1 }, { speculate: "off" });
    const alone = [];
    for (const request of requests) alone.push(said(await plain.generate(request)));
    for (const sizes of [
      { slots: 1 },
      { slots: 4 },
      { slots: 3, maxRows: 7, maxLogits: 5 },
      { slots: 4, maxRows: 4, maxLogits: 2 },
    ]) {
      const draft = typeof speculate === "string" ? speculate : { draft: fresh(speculate.draft) };
      const { engine, runner } = eager({ ...toy, ...sizes, async }, { speculate: draft });
      const together = await Promise.all(requests.map((request) => engine.generate(request)));
      expect(together.map(said)).toEqual(alone);
      const { draft_tokens, busy, queued } = engine.stats();
      // The last has no rows of logits left beside the sequences' own.
      if (engine.info.slots !== 4 || runner.maxRows > 4) expect(draft_tokens).toBeGreaterThan(0);
      expect({ busy, queued }).toEqual({ busy: 0, queued: 0 });
    }
  });

  test("a stream that is left or cancelled leaves a cache that others can use", async () => {
    const { engine, runner } = eager({ ...forgetful, slots: 1, async });
    const ids = prompt(30, 1);
    const request = { prompt_ids: ids, max_tokens: 100, ...greedy };
    let parts = 0;
    for await (const _part of engine.stream(request)) if (++parts === 20) break;
    expect(engine.stats()).toMatchObject({ busy: 0, queued: 0 });
    await settle(3);
    const ran = runner.batches.length;
    const again = await engine.generate(request);
    const { engine: plain } = toyEngine({ ...forgetful, slots: 1 }, { speculate: "off" });
    expect(again.ids).toEqual((await plain.generate(request)).ids);
    expect(again.timings.cached_n).toBe(29);
    expect(runner.batches.length - ran).toBeLessThan(60);
  });
});

/** Every engine disposes of its own. */
function fresh(draft: ReturnType<typeof toyModel>): ReturnType<typeof toyModel> {
  const { ctx, slots, maxRows, chooser } = draft.runner;
  const { weights, isAsync } = (draft.runner as ToyRunner).made;
  return toyModel({ ...forgetful, ctx, slots, maxRows, chooser, weights, async: isAsync });
}

test("a repetition takes far fewer batches than tokens, and the counts say why", async () => {
  const { engine, runner } = eager({ ...forgetful, slots: 1 });
  const { timings } = await engine.generate({ prompt_ids: [1, 2], max_tokens: 150, ...greedy });
  expect(runner.batches.length).toBeLessThan(100);
  expect(timings.draft_n_accepted).toBeGreaterThan(60);
  expect(timings.draft_n).toBeGreaterThanOrEqual(timings.draft_n_accepted);
  // No row is run twice: the prompt's two, then in each batch the known token and the proposals.
  const rows = runner.batches.reduce((sum, { ids }) => sum + ids.length, 0);
  expect(rows).toBe(2 + (runner.batches.length - 1) + timings.draft_n);
  // A batch gives one token more than it had right proposals.
  expect(timings.predicted_n - timings.draft_n_accepted).toBeLessThanOrEqual(runner.batches.length);
  expect(engine.stats()).toMatchObject({
    draft_tokens: timings.draft_n,
    accepted_draft_tokens: timings.draft_n_accepted,
  });
});

test("what never repeats is never run ahead", async () => {
  const { engine, runner } = eager({ slots: 1, ctx: 160 });
  const { ids, timings } = await engine.generate({ prompt_ids: [1], max_tokens: 150, ...greedy });
  expect(ids).toEqual(toyGreedy([1], 150));
  expect(timings.draft_n).toBeLessThan(5);
  expect(runner.batches.length).toBeGreaterThan(145);
});

test("what does not pay is left: rows that cost more in company than alone", async () => {
  const { engine, runner, clock } = toyEngine({
    ...forgetful,
    slots: 1,
    maxLogits: 16,
    maxRows: 16,
  });
  runner.before = ({ ids }) => {
    clock.ms += ids.length === 1 ? 10 : 20 * ids.length;
  };
  await engine.generate({ prompt_ids: [1, 2], max_tokens: 150, ...greedy });
  expect(engine.stats().draft_tokens).toBeLessThanOrEqual(3 * SPECULATED_ROWS);
});

test("with a clock that stands still a long repetition is run ahead, a short one is not", async () => {
  const { engine } = toyEngine({ ...forgetful, ctx: 512, slots: 1, maxLogits: 16, maxRows: 16 });
  const long = await engine.generate({ prompt_ids: [1, 2], max_tokens: 400, ...greedy });
  expect(long.timings.draft_n_accepted).toBeGreaterThan(150);
  const short = await engine.generate({ prompt_ids: [1, 2], max_tokens: 12, ...greedy });
  expect(short.timings.draft_n).toBe(0);
});

test("speculation that is off, or has no row of logits to spare, runs what is known", async () => {
  for (const [toy, options] of [
    [{ maxLogits: 16 }, { speculate: "off" }],
    [{ maxLogits: 1 }, {}],
  ] as const) {
    const { engine, runner } = eager({ ...forgetful, slots: 1, ...toy }, options);
    await engine.generate({ prompt_ids: [1, 2], max_tokens: 100, ...greedy });
    expect(runner.batches.every(({ logitsRows }) => logitsRows.length <= 1)).toBe(true);
  }
});

test("nothing is run ahead while a prompt is read", async () => {
  const { engine, runner } = eager({ ...forgetful, slots: 2, maxRows: 8 });
  const stream = engine.generate({ prompt_ids: [1, 2], max_tokens: 150, ...greedy });
  await settle(30);
  const before = runner.batches.length;
  await engine.generate({ prompt_ids: prompt(60, 3), max_tokens: 1, ...greedy });
  const during = runner.batches.slice(before).filter(({ spans }) => spans.length === 2);
  expect(during.length).toBeGreaterThan(8);
  for (const { spans } of during) expect(spans[0].count).toBe(1);
  await stream;
});

test("proposals end at max_tokens and at the end of the context", async () => {
  const { engine } = eager({ ...forgetful, ctx: 64, slots: 1 });
  for (const max_tokens of [1, 2, 3, 37, 61, 62, 1000]) {
    const { ids, finish_reason } = await engine.generate({
      prompt_ids: [1, 2],
      max_tokens,
      ...greedy,
    });
    expect(ids).toHaveLength(Math.min(max_tokens, 62));
    expect(finish_reason).toBe("length");
  }
});

test("a conversation goes on from a cache that proposals were written to", async () => {
  const { engine } = eager({ ...forgetful, slots: 1 }, draftOf({ ...forgetful, weights: 5 }));
  const { engine: plain } = toyEngine({ ...forgetful, slots: 1 }, { speculate: "off" });
  let ids = [1, 2, 3];
  for (let turn = 0; turn < 4; turn++) {
    const request = { prompt_ids: ids, max_tokens: 20, ...greedy };
    const result = await engine.generate(request);
    expect(result.ids).toEqual((await plain.generate(request)).ids);
    if (turn > 0) expect(result.timings.cached_n).toBeGreaterThanOrEqual(ids.length - 4);
    ids = [...ids, ...result.ids, turn, turn + 1, turn];
  }
  expect(engine.stats().draft_tokens).toBeGreaterThan(0);
});

test("a reader that does not read pauses in mid-batch, and gets the same tokens later", async () => {
  const { engine } = eager({ ...forgetful, slots: 1 });
  const { engine: plain } = toyEngine({ ...forgetful, slots: 1 }, { speculate: "off" });
  const request = { prompt_ids: [1, 2, 3], max_tokens: 150, ...greedy };
  const generation = engine.stream(request);
  const iterator = generation[Symbol.asyncIterator]();
  await settle(200);
  expect(engine.stats()).toMatchObject({ busy: 0, generated_tokens: RUN_AHEAD_PARTS });
  const other = { prompt_ids: [7, 8], max_tokens: 20, ...greedy };
  expect((await engine.generate(other)).ids).toEqual((await plain.generate(other)).ids);
  const seen: number[] = [];
  for (let read = await iterator.next(); !read.done; read = await iterator.next()) {
    seen.push(read.value.token);
  }
  expect(seen).toEqual((await plain.generate(request)).ids);
});

test("the first token of a stop text in mid-batch ends the output there", async () => {
  const { engine: plain } = toyEngine({ ...forgetful, slots: 1 }, { speculate: "off" });
  const { engine } = eager({ ...forgetful, slots: 1 });
  const whole = await plain.generate({ prompt_ids: [1, 2], max_tokens: 150, ...greedy });
  for (const at of [100, 107, 111, 120]) {
    const stop_ids = [whole.ids[at]];
    const request = { prompt_ids: [1, 2], max_tokens: 150, temperature: 0, stop_ids };
    expect(said(await engine.generate(request))).toEqual(said(await plain.generate(request)));
    const bias = {
      prompt_ids: [1, 2],
      max_tokens: 150,
      ...greedy,
      stop: [whole.text.slice(at, at + 3)],
    };
    expect(said(await engine.generate(bias))).toEqual(said(await plain.generate(bias)));
  }
});

test("logits that are not numbers behind a right proposal end it there and spoil no cache", async () => {
  const { engine, runner } = eager({ ...forgetful, slots: 1 });
  const argmax = runner.argmax.bind(runner);
  runner.argmax = (index) => (index === 3 ? -1 : argmax(index));
  const request = { prompt_ids: [1, 2], max_tokens: 150, ...greedy };
  const parts: number[] = [];
  const reading = (async () => {
    for await (const { token } of engine.stream(request)) parts.push(token);
  })();
  await expect(reading).rejects.toMatchObject({ code: "engine_failed" });
  runner.argmax = argmax;
  const again = await engine.generate(request);
  expect(again.timings.cached_n).toBe(0);
  expect(again.ids.slice(0, parts.length)).toEqual(parts);
});

describe("a prediction", () => {
  test("is run ahead from the first token, and its use is told", async () => {
    const { engine: plain } = toyEngine({ slots: 1, ctx: 160 }, { speculate: "off" });
    const request = { prompt_ids: [1], max_tokens: 100, ...greedy };
    const { ids } = await plain.generate(request);
    const prediction_ids = [...ids.slice(0, 60), 1, 1, 1, ...ids.slice(60, 80)];
    const { engine, runner } = eager({ slots: 1, ctx: 160 });
    const result = await engine.generate({ ...request, prediction_ids });
    expect(result.ids).toEqual(ids);
    expect(runner.batches.length).toBeLessThan(50);
    // All but the three wrong ones, and the two after them by which the place is found again.
    expect(result.prediction).toEqual({ accepted: 78, rejected: 5 });
    const off = await plain.generate({ ...request, prediction_ids });
    expect(off.prediction).toEqual(result.prediction);
  });

  test("of ids outside the vocabulary is refused", async () => {
    const { engine } = toyEngine();
    const request = { prompt_ids: [1], prediction_ids: [3, 64] };
    await expect(engine.generate(request)).rejects.toMatchObject({
      code: "bad_request",
      param: "prediction_ids",
    });
  });
});

describe("a draft model", () => {
  test("that is the same model is right", async () => {
    const { engine, runner } = eager({ slots: 2, ctx: 160 }, draftOf({ ctx: 160 }));
    const all = [1, 2].map((n) => engine.generate({ prompt_ids: [n], max_tokens: 100, ...greedy }));
    const results = await Promise.all(all);
    expect(results.map(({ ids }) => ids)).toEqual([toyGreedy([1], 100), toyGreedy([2], 100)]);
    const { draft_tokens, accepted_draft_tokens } = engine.stats();
    // Two tokens that came before in this order are looked up: the few wrong ones are those.
    expect(accepted_draft_tokens).toBeGreaterThan(0.9 * draft_tokens);
    expect(runner.batches.length).toBeLessThan(90);
  });

  test("that is always wrong is asked less and less", async () => {
    const draft = draftOf({ ctx: 1024, weights: 3 });
    const { engine } = toyEngine({ slots: 1, ctx: 1024, maxRows: 24, maxLogits: 16 }, draft);
    const { ids, timings } = await engine.generate({ prompt_ids: [1], max_tokens: 900, ...greedy });
    expect(ids).toEqual(toyGreedy([1], 900));
    expect(timings.draft_n).toBeGreaterThan(SPECULATED_ROWS / 2);
    expect(timings.draft_n).toBeLessThan(12 * SPECULATED_ROWS);
  });

  test("reads a long prompt while others go on", async () => {
    const draft = toyModel({ slots: 2, ctx: 256, maxRows: 4 });
    const { engine } = eager({ slots: 2, ctx: 256 }, { speculate: { draft } });
    const long = prompt(200, 2);
    const results = await Promise.all([
      engine.generate({ prompt_ids: long, max_tokens: 50, ...greedy }),
      engine.generate({ prompt_ids: [1], max_tokens: 50, ...greedy }),
    ]);
    expect(results.map(({ ids }) => ids)).toEqual([toyGreedy(long, 50), toyGreedy([1], 50)]);
    const { batches } = draft.runner as ToyRunner;
    expect(Math.max(...batches.map(({ ids }) => ids.length))).toBeLessThanOrEqual(4);
  });

  test.each([
    ["fewer tokens", toyModel({ slots: 2 }, toyTokenizer(["a", "b"])), "2 tokens, the model 64"],
    [
      "another token",
      toyModel({ slots: 2 }, toyTokenizer(Array.from({ length: 64 }, (_, i) => `x${i}`))),
      "its token 0 is another one",
    ],
    ["fewer slots", toyModel({ slots: 1 }), "it has 1 slots, the model 2"],
  ])("with %s is refused", (_, draft, message) => {
    expect(() => eager({ slots: 2 }, { speculate: { draft } })).toThrow(message);
  });

  test("is freed with the engine, and its failure is the engine's", async () => {
    const draft = toyModel({ slots: 2 });
    const { engine } = eager({ slots: 2 }, { speculate: { draft } });
    await engine.dispose();
    expect((draft.runner as ToyRunner).disposed).toBe(1);

    const broken = toyModel({ slots: 2 });
    (broken.runner as ToyRunner).before = () => {
      throw new Error("unreachable");
    };
    const { engine: other } = eager({ slots: 2 }, { speculate: { draft: broken } });
    const result = other.generate({ prompt_ids: [1], max_tokens: 50, ...greedy });
    await expect(result).rejects.toMatchObject({ code: "engine_failed" });
    await settle(3);
    expect((broken.runner as ToyRunner).disposed).toBe(1);
  });

  test("may be asked while its caller leaves", async () => {
    const draft = toyModel({ slots: 2, async: true, ctx: 160 });
    const { engine } = eager({ slots: 2, ctx: 160 }, { speculate: { draft } });
    for (let tasks = 1; tasks < 12; tasks++) {
      const controller = new AbortController();
      const cut = engine.generate(
        { prompt_ids: [tasks], ...greedy },
        { signal: controller.signal },
      );
      const kept = engine.stream({ prompt_ids: [60 - tasks], max_tokens: 30, ...greedy });
      for (let n = 0; n < tasks; n++) await nextTask();
      controller.abort();
      await expect(cut).rejects.toMatchObject({ code: "aborted" });
      const ids = (await collect(kept)).map(({ token }) => token);
      expect(ids).toEqual(toyGreedy([60 - tasks], 30));
    }
  });
});
