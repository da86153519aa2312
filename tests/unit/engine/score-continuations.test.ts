import { describe, expect, test } from "vitest";
import { encodeContinuation } from "../../../src/engine/score-continuations.ts";
import { collect, engineOver, nextTask, settle, toyEngine } from "./toy-engine.ts";
import { ToyRunner } from "./toy-runner.ts";

/** By the runner alone: a token at a time from an empty cache. */
function byHand(prompt: readonly number[], continuation: readonly number[]) {
  const runner = new ToyRunner({});
  const ids = [...prompt, ...continuation];
  const token_logprobs: number[] = [];
  let is_greedy = true;
  for (let at = 0; at < ids.length - 1; at++) {
    runner.forward({ ids: [ids[at]], spans: [{ slot: 0, start: at, count: 1 }], logitsRows: [0] });
    if (at < prompt.length - 1) continue;
    const logits = [...runner.logits(0)];
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    token_logprobs.push(logits[ids[at + 1]] - Math.log(sum));
    is_greedy &&= runner.argmax(0) === ids[at + 1];
  }
  return { token_logprobs, is_greedy };
}

const prompt_ids = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

describe.each([false, true])("on a runner that is asynchronous: %s", (isAsync) => {
  test("scores are those of a token at a time, whatever the batches", async () => {
    const continuations = [[20, 21, 22], [20, 21, 23, 24, 25, 26, 27], [30]];
    for (const toy of [{}, { maxRows: 3, maxLogits: 2 }, { maxRows: 64, maxLogits: 64 }]) {
      const { engine } = toyEngine({ ...toy, async: isAsync });
      const scores = await engine.scoreContinuations(
        continuations.map((continuation_ids) => ({ prompt_ids, continuation_ids })),
      );
      for (const [index, continuation] of continuations.entries()) {
        const expected = byHand(prompt_ids, continuation);
        const { logprob, token_logprobs, token_ids, is_greedy } = scores[index];
        expect(token_ids).toEqual(continuation);
        expect(is_greedy).toBe(expected.is_greedy);
        expect(token_logprobs.length).toBe(continuation.length);
        for (const [i, value] of token_logprobs.entries()) {
          expect(value).toBeCloseTo(expected.token_logprobs[i], 9);
        }
        expect(logprob).toBeCloseTo(
          expected.token_logprobs.reduce((a, b) => a + b),
          9,
        );
      }
      await engine.dispose();
    }
  });

  test("what greedy decoding writes is greedy, and nothing else", async () => {
    const { engine } = toyEngine({ async: isAsync });
    const { ids } = await engine.generate({
      prompt_ids,
      max_tokens: 5,
      temperature: 0,
      ignore_eos: true,
    });
    const other = [...ids.slice(0, 4), (ids[4] + 1) % 64];
    const [right, wrong] = await engine.scoreContinuations([
      { prompt_ids, continuation_ids: ids },
      { prompt_ids, continuation_ids: other },
    ]);
    expect([right.is_greedy, wrong.is_greedy]).toEqual([true, false]);
    expect(right.token_logprobs.slice(0, 4)).toEqual(wrong.token_logprobs.slice(0, 4));
    await engine.dispose();
  });

  test("scoring and generating at once change nothing of either", async () => {
    const request = { prompt_ids: [1, 2, 3], max_tokens: 20, temperature: 0, ignore_eos: true };
    const alone = toyEngine({ slots: 2, async: isAsync });
    const expected = await alone.engine.generate(request);
    const [score] = await alone.engine.scoreContinuations([
      { prompt_ids, continuation_ids: [20, 21] },
    ]);
    const { engine } = toyEngine({ slots: 2, async: isAsync });
    const both = await Promise.all([
      collect(engine.stream(request)),
      engine.scoreContinuations([{ prompt_ids, continuation_ids: [20, 21] }]),
      collect(engine.stream(request)),
      engine.scoreContinuations([{ prompt_ids, continuation_ids: [20, 21] }]),
    ]);
    for (const parts of [both[0], both[2]]) {
      expect(parts.map(({ token }) => token)).toEqual(expected.ids);
    }
    for (const [one] of [both[1], both[3]]) expect(one).toEqual(score);
    expect(engine.stats().busy).toBe(0);
    await engine.dispose();
  });
});

test("a prompt is read once for all of its continuations", async () => {
  const { engine, runner } = toyEngine({ maxRows: 64, maxLogits: 8 });
  await engine.scoreContinuations(
    [[20], [21], [22, 23]].map((continuation_ids) => ({ prompt_ids, continuation_ids })),
  );
  expect(runner.batches.map(({ ids }) => ids.length)).toEqual([prompt_ids.length, 1, 2]);
  await engine.dispose();
});

test("waits for a slot, gives it back, and leaves none lent when it is aborted", async () => {
  const { engine } = toyEngine({ slots: 1 });
  const running = collect(
    engine.stream({ prompt_ids: [1], max_tokens: 10, temperature: 0, ignore_eos: true }),
  );
  const abort = new AbortController();
  const row = { prompt_ids, continuation_ids: [20] };
  await settle(2);
  const given = engine.scoreContinuations([row], { signal: abort.signal });
  const waiting = engine.scoreContinuations([row]);
  abort.abort();
  await expect(given).rejects.toMatchObject({ code: "aborted" });
  expect((await waiting)[0].token_ids).toEqual([20]);
  expect((await running).length).toBe(10);
  expect(engine.stats().busy).toBe(0);
  await engine.dispose();
  await expect(engine.scoreContinuations([row])).rejects.toMatchObject({ code: "engine_failed" });
});

test("a slot that comes free while its borrower is aborted is not lost", async () => {
  const { engine } = toyEngine({ slots: 1 });
  const row = { prompt_ids, continuation_ids: [20] };
  const abort = new AbortController();
  const first = engine.scoreContinuations([row]);
  const aborted = engine.scoreContinuations([row], { signal: abort.signal });
  // In the very turn that gives the slot back.
  const ending = first.then(() => abort.abort());
  await Promise.allSettled([ending, aborted]);
  await settle();
  expect(engine.stats().busy).toBe(0);
  expect((await engine.scoreContinuations([row]))[0].token_ids).toEqual([20]);
  await engine.dispose();
});

test("a backend that fails ends the scoring and the engine", async () => {
  const runner = new ToyRunner({});
  runner.before = () => {
    throw new Error("trap");
  };
  const { engine } = engineOver(runner);
  const row = { prompt_ids, continuation_ids: [20] };
  await expect(engine.scoreContinuations([row])).rejects.toMatchObject({ code: "engine_failed" });
  await expect(engine.scoreContinuations([row])).rejects.toMatchObject({ code: "engine_failed" });
});

test.each([
  ["an empty continuation", [5], [], "bad_request", /request 0: the continuation has no tokens/],
  ["a token that there is not", [5], [64], "bad_request", /64 is no token of 64/],
  ["more than the context", Array(128).fill(5), [6, 7], "context_overflow", /130 tokens/],
])("refuses %s", async (_, prompt, continuation_ids, code, message) => {
  const { engine } = toyEngine({});
  await expect(
    engine.scoreContinuations([{ prompt_ids: prompt, continuation_ids }]),
  ).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect(engine.stats().busy).toBe(0);
  await engine.dispose();
});

describe("texts", () => {
  /** A word with the space before it is a token; BOS where there is one. */
  const words = (bosId: number | undefined) => ({
    bosId,
    eosId: 9,
    encode: (text: string): number[] => [
      ...(bosId === undefined ? [] : [bosId]),
      ...(text.match(/ ?[^ ]+| /g) ?? []).map((word) => 10 + word.length),
    ],
  });

  test.each([
    ["The cat", " sat", undefined, [13, 14], [14]],
    ["The cat ", "sat", undefined, [13, 14], [14]],
    ["The cat", " sat", 1, [1, 13, 14], [14]],
    ["", "sat", 1, [1], [13]],
    ["", "sat", undefined, [9], [13]],
  ])("%j and %j with BOS %s", (prompt, continuation, bosId, first, second) => {
    expect(encodeContinuation(words(bosId), { prompt, continuation }, "x")).toEqual({
      prompt: first,
      continuation: second,
    });
  });
});

test("a slot that is lent to what is gone comes back, and what returns later runs nothing", async () => {
  let ms = 0;
  // A request whose context was ended: it never goes on, and no `finally` of it runs.
  let goOn = (): void => {};
  const gone = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let calls = 0;
  const { engine, runner } = toyEngine(
    { slots: 1, ctx: 64 },
    { runtime: { now: () => ms, yieldTask: () => (calls++ === 1 ? gone : nextTask()) } },
  );
  const texts = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [5]];
  const lost = engine.promptLogprobs(texts);
  lost.catch(() => undefined);
  await settle();
  expect(engine.stats().busy).toBe(1);
  const next = engine.generate({ prompt_ids: [1, 2], max_tokens: 2, temperature: 0 });
  await settle();
  ms += 19_000;
  expect(engine.stats().busy).toBe(1);
  ms += 2000;
  expect((await next).ids).toHaveLength(2);
  const batches = runner.batches.length;
  goOn();
  await expect(lost).rejects.toMatchObject({ code: "aborted" });
  expect(runner.batches).toHaveLength(batches);
  expect(engine.stats().busy).toBe(0);
});
