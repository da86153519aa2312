/**
 * Runners that choose tokens themselves and run ahead: nothing but the number of batches depends on it. What they give
 * is compared with a runner that chooses, too, but runs nothing ahead and gives no largest logits.
 */
import { describe, expect, test } from "vitest";
import type { Batch, Chooser } from "../../../src/backends/backend.ts";
import type { EngineOptions, LocalEngine } from "../../../src/engine/create-engine.ts";
import { RUN_AHEAD_PARTS } from "../../../src/engine/leases.ts";
import { bitsAt } from "../../../src/generate/random.ts";
import type { GenerateRequest, GenerateResult } from "../../../src/generate/request.ts";
import { nextTask, settle, type TestEngine, toyEngine } from "./toy-engine.ts";
import { type ToyOptions, type ToyRunner, toyGreedy } from "./toy-runner.ts";
import { LETTERS, toyTokenizer } from "./toy-tokenizer.ts";

const PLAIN: Pick<Chooser, "ahead" | "most"> = { ahead: 1, most: 0 };
const AHEAD: Pick<Chooser, "ahead" | "most"> = { ahead: 5, most: 16 };
const greedy = { temperature: 0, ignore_eos: true } as const;

const tokenizer = {
  ...toyTokenizer(),
  encode: (text: string): number[] => [...text].map((letter) => LETTERS.indexOf(letter)),
};

function open(toy: ToyOptions = {}, options: EngineOptions = {}): TestEngine<ToyRunner> {
  return toyEngine(
    { chooser: AHEAD, maxLogits: 18, maxRows: 18, ...toy },
    { tokenizer, ...options },
  );
}

/** Without what depends on time and on how tokens came. */
function output({ timings, ...rest }: GenerateResult): object {
  return { ...rest, predicted: timings.predicted_n };
}

const aheadOf = (batches: readonly Batch[]): number[] => batches.map(({ ahead = 1 }) => ahead);

describe.each([
  ["at once", false],
  ["asynchronously", true],
])("a runner that runs %s", (_, async) => {
  test("gives a sequence several tokens a batch, as many as it may have", async () => {
    const { engine, runner } = open({ async });
    const { ids } = await engine.generate({ prompt_ids: [1, 2, 3], max_tokens: 14, ...greedy });
    expect(ids).toEqual(toyGreedy([1, 2, 3], 14));
    // The prompt's batch has several rows.
    expect(aheadOf(runner.batches)).toEqual([1, 5, 5, 3]);
    expect(runner.batches.every(({ argmax }) => argmax === undefined)).toBe(true);
  });

  test("gives several sequences theirs together", async () => {
    const { engine, runner } = open({ async, slots: 3 });
    const prompts = [[1, 2, 3], [4], [5, 6]];
    const results = await Promise.all(
      prompts.map((prompt_ids, i) =>
        engine.generate({ prompt_ids, max_tokens: 20 + 3 * i, ...greedy }),
      ),
    );
    for (const [i, { ids }] of results.entries()) {
      expect(ids).toEqual(toyGreedy(prompts[i] ?? [], 20 + 3 * i));
    }
    expect(aheadOf(runner.batches).filter((ahead) => ahead === 5).length).toBeGreaterThan(2);
    expect(runner.batches.length).toBeLessThan(16);
  });

  test("is asked for one token at a time while somebody waits for a slot", async () => {
    const { engine, runner } = open({ async, slots: 1 });
    const first = engine.generate({ prompt_ids: [1], max_tokens: 8, ...greedy });
    const second = engine.generate({ prompt_ids: [2], max_tokens: 8, ...greedy });
    expect((await first).ids).toEqual(toyGreedy([1], 8));
    expect(aheadOf(runner.batches)).toEqual(new Array(8).fill(1));
    expect((await second).ids).toEqual(toyGreedy([2], 8));
    expect(aheadOf(runner.batches).slice(8)).toEqual([5, 3]);
  });

  test("is asked for one token at a time while others take turns with the rows, or have a slot lent", async () => {
    const turns = open({ async, slots: 2, maxRows: 1, maxLogits: 1 });
    const both = [[1], [2]].map((prompt_ids) =>
      turns.engine.generate({ prompt_ids, max_tokens: 8, ...greedy }),
    );
    await Promise.all(both);
    // The last one is alone.
    expect(aheadOf(turns.runner.batches).slice(0, -1)).toEqual(new Array(15).fill(1));

    // Enough tokens that many are left when the snapshot is done, which on a busy machine takes longer.
    const { engine, runner } = open({ async, ctx: 2048, chooser: { ahead: 100, most: 0 } });
    const running = engine.generate({ prompt_ids: [1], max_tokens: 2000, ...greedy });
    const text = Array.from({ length: 180 }, (_, i) => 1 + ((i * 7) % 60));
    await engine.saveSnapshot({ prompt_ids: text });
    const during = runner.batches.slice(
      runner.batches.findIndex(({ logitsRows }) => logitsRows.length === 0),
      runner.batches.findLastIndex(({ logitsRows }) => logitsRows.length === 0),
    );
    expect(during.length).toBeGreaterThan(15);
    expect(Math.max(...aheadOf(during))).toBe(1);
    expect((await running).ids).toEqual(toyGreedy([1], 2000));
    expect(Math.max(...aheadOf(runner.batches))).toBe(100);
  });

  test("ends at a stop token and at a stop text in mid-chain; the cache serves what comes next", async () => {
    const whole = toyGreedy([1, 2, 3], 30);
    for (let at = 1; at < 12; at++) {
      const { engine, runner } = open({ async });
      const request = { prompt_ids: [1, 2, 3], max_tokens: 30, ...greedy, ignore_eos: false };
      const stopped = await engine.generate({ ...request, stop_ids: [whole[at] ?? -1] });
      const end = whole.indexOf(whole[at] ?? -1);
      expect(stopped).toMatchObject({ ids: whole.slice(0, end + 1), finish_reason: "stop" });
      const stop = LETTERS[whole[at] ?? -1] ?? "";
      expect(await engine.generate({ ...request, stop_ids: [], stop: [stop] })).toMatchObject({
        ids: whole.slice(0, end + 1),
        stop,
      });
      const before = runner.batches.length;
      const prompt = [1, 2, 3, ...whole.slice(0, end + 1), 9];
      const next = await engine.generate({ prompt_ids: prompt, max_tokens: 6, ...greedy });
      expect(next.ids).toEqual(toyGreedy(prompt, 6));
      // What was run behind the end does not count: the token that ended it is the first to be run.
      expect(next.timings.cached_n).toBe(3 + end);
      expect(runner.batches[before]?.ids).toEqual(prompt.slice(3 + end));
    }
  });

  test("that is told to stop in mid-chain drops what nobody read", async () => {
    const { engine } = open({ async });
    const controller = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      const request = { prompt_ids: [1, 2], ...greedy };
      for await (const { token } of engine.stream(request, { signal: controller.signal })) {
        seen.push(token);
        if (seen.length === 4) controller.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
    expect(seen).toEqual(toyGreedy([1, 2], 4));
    expect(engine.stats()).toMatchObject({ busy: 0, queued: 0 });
    const prompt = [1, 2, ...toyGreedy([1, 2], 9)];
    const { ids } = await engine.generate({ prompt_ids: prompt, max_tokens: 7, ...greedy });
    expect(ids).toEqual(toyGreedy(prompt, 7));
  });

  test("pauses in mid-chain for a reader who does not read, and goes on with the same tokens", async () => {
    const { engine, runner } = open({ async, ctx: 256 });
    const request = { prompt_ids: [1, 2], max_tokens: 150, temperature: 1.2, seed: 3 } as const;
    const expected = await open({ async, ctx: 256, chooser: PLAIN }).engine.generate({
      ...request,
      ignore_eos: true,
    });
    const generation = engine.stream({ ...request, ignore_eos: true });
    const reader = generation[Symbol.asyncIterator]();
    const ids: number[] = [];
    const first = await reader.next();
    if (!first.done) ids.push(first.value.token);
    await settle(100);
    const batches = runner.batches.length;
    await settle(20);
    expect(runner.batches.length).toBe(batches);
    expect(engine.stats().generated_tokens).toBe(RUN_AHEAD_PARTS + 1);
    expect(engine.stats().busy).toBe(0);
    for (let next = await reader.next(); !next.done; next = await reader.next()) {
      ids.push(next.value.token);
    }
    expect(ids).toEqual(expected.ids);
    expect(output(await generation.result)).toEqual(output(expected));
  });

  test("gives no more tokens than max_time_ms lets it, where batches are counted", async () => {
    const request = { prompt_ids: [1, 2], ...greedy, max_tokens: 60 };
    for (const max_time_ms of [10, 50, 70, 120, 200]) {
      const found = [PLAIN, AHEAD].map((chooser) =>
        open({ async, chooser }).engine.generate({ ...request, max_time_ms }),
      );
      const [one, several] = await Promise.all(found);
      expect(several && output(several)).toEqual(one && output(one));
      expect(several?.timed_out).toBe(true);
    }
  });

  test("shifts the context where it is full, in mid-chain or not", async () => {
    const request = { prompt_ids: [1, 2, 3, 4, 5], max_tokens: 90, ...greedy, n_keep: 2 };
    for (const ctx of [16, 24, 32]) {
      const { engine } = open({ async, ctx }, { contextShift: true });
      const plain = open({ async, ctx, chooser: PLAIN }, { contextShift: true });
      const expected = await plain.engine.generate(request);
      expect((await engine.generate(request)).ids).toEqual(expected.ids);
      expect(engine.stats().context_shifts).toBe(plain.engine.stats().context_shifts);
      expect(engine.stats().context_shifts).toBeGreaterThan(2);
    }
  });
});

/** Numbers below others, the same for a seed. */
function pickerOf(seed: number): (below: number) => number {
  let n = 0;
  return (below) => Number(bitsAt(BigInt(seed), n++) % BigInt(below));
}

/** Anything that may be asked. */
function randomRequest(pick: (below: number) => number): GenerateRequest {
  const some = <Value>(value: () => Value): Value | undefined =>
    pick(3) === 0 ? value() : undefined;
  const fields = {
    temperature: [0, 0, 0.3, 0.7, 1, 1.5][pick(6)],
    top_k: some(() => 1 + pick(20)),
    top_p: some(() => (1 + pick(99)) / 100),
    min_p: some(() => pick(50) / 100),
    typical_p: some(() => (50 + pick(50)) / 100),
    repetition_penalty: some(() => 0.7 + pick(100) / 100),
    frequency_penalty: some(() => pick(4) - 2),
    presence_penalty: some(() => pick(4) - 2),
    logit_bias: some(() => new Map([[pick(64), pick(8) - 4]])),
    top_logprobs: some(() => pick(4)),
    stop: some(() => [LETTERS[pick(64)] ?? ""]),
    grammar: some(() => {
      const pattern = ["[0-9A-Z]+", "([a-k]|XYZUVWQRST)+", "(AB|CD|[0-9]{3})*END"][pick(3)] ?? "";
      return { type: "regex" as const, pattern };
    }),
    ignore_eos: some(() => true),
  };
  const given = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  );
  const prompt_ids = Array.from({ length: 1 + pick(12) }, () => 1 + pick(63));
  return { prompt_ids, max_tokens: 1 + pick(40), seed: pick(1000), ...given };
}

async function outcomes(
  engine: LocalEngine,
  requests: readonly GenerateRequest[],
  atOnce: number,
): Promise<object[]> {
  const found: object[] = [];
  for (let i = 0; i < requests.length; i += atOnce) {
    const some = requests
      .slice(i, i + atOnce)
      .map((request) => engine.generate(request).then(output));
    found.push(...(await Promise.all(some)));
  }
  return found;
}

const memories: [string, number | undefined][] = [
  ["any text", undefined],
  ["texts that repeat", 2],
];

describe.each(memories)("random requests over %s", (_, memory) => {
  const pick = pickerOf(memory ?? 0);
  const requests = Array.from({ length: 60 }, () => randomRequest(pick));
  const expected = outcomes(open({ memory, chooser: PLAIN }).engine, requests, 1);

  test.each<[string, ToyOptions, number]>([
    ["alone", {}, 1],
    ["with few largest logits", { chooser: { ahead: 3, most: 4 } }, 1],
    ["with all of them", { chooser: { ahead: 8, most: 64 } }, 1],
    ["in company", { slots: 3 }, 3],
    ["in company, asynchronously, while others wait", { slots: 2, async: true }, 5],
    ["a row at a time", { slots: 2, maxRows: 1, maxLogits: 1 }, 2],
  ])("give the same tokens %s", async (_name, toy, atOnce) => {
    const { engine } = open({ memory, ...toy });
    expect(await outcomes(engine, requests, atOnce)).toEqual(await expected);
  });

  test("give the same tokens where they are not drawn by noise, on a runner that does not choose", async () => {
    const { engine } = open({ memory, chooser: undefined });
    const found = await outcomes(engine, requests, 1);
    const all = await expected;
    let compared = 0;
    for (const [i, request] of requests.entries()) {
      const { top_k, top_p, min_p, typical_p, grammar, temperature } = request;
      const filters = [top_k, top_p, min_p, typical_p, grammar];
      if (temperature !== 0 && filters.every((filter) => filter === undefined)) continue;
      expect(found[i]).toEqual(all[i]);
      compared++;
    }
    expect(compared).toBeGreaterThan(40);
  });
});

describe("a row whose largest logits do not tell its token", () => {
  // Logits are spread evenly: 16 of 64 have less than 0.9 of the weight at a temperature of 1.5.
  const request = { prompt_ids: [1, 2, 3], max_tokens: 40, temperature: 1.5, top_p: 0.9, seed: 1 };

  test("is run again, and rarely where that happens often", async () => {
    const { engine, runner } = open();
    const plain = open({ chooser: PLAIN });
    const expected = await plain.engine.generate({ ...request, ignore_eos: true });
    const found = await engine.generate({ ...request, ignore_eos: true });
    expect(found.ids).toEqual(expected.ids);
    expect(plain.runner.batches).toHaveLength(40);
    expect(runner.batches.length).toBeGreaterThan(41);
    expect(runner.batches.length).toBeLessThan(50);
    const again = runner.batches.filter(
      ({ spans }, i) => i > 0 && spans[0]?.start === runner.batches[i - 1]?.spans[0]?.start,
    );
    expect(again.length).toBeGreaterThan(0);
    for (const { choices } of again) expect(choices).toEqual([undefined]);
  });

  test("is not run again where they do", async () => {
    const { engine, runner } = open();
    await engine.generate({ ...request, temperature: 0.3, top_p: 0.5, ignore_eos: true });
    expect(runner.batches).toHaveLength(40);
  });
});

test("log-probabilities change no draw", async () => {
  const request = {
    prompt_ids: [1, 2, 3],
    max_tokens: 30,
    temperature: 0.9,
    seed: 8,
    ignore_eos: true,
  };
  const { engine, runner } = open();
  const { ids } = await engine.generate(request);
  const told = await engine.generate({ ...request, top_logprobs: 2 });
  expect(told.ids).toEqual(ids);
  expect(told.logprobs?.map(({ logprob }) => logprob < 0)).toEqual(new Array(30).fill(true));
  expect((await engine.generate({ ...request, seed: 9 })).ids).not.toEqual(ids);
  expect(aheadOf(runner.batches)).toContain(5);
});

test.each([
  ["drawn", {}],
  ["of the largest logits", { top_p: 0.7 }],
])(
  "tokens that were proposed are compared with those that a runner chooses, %s",
  async (_, filter) => {
    const request: GenerateRequest = {
      ...{ prompt_ids: [1, 2, 3], max_tokens: 60, temperature: 0.7, seed: 4, ignore_eos: true },
      ...filter,
    };
    const { ids } = await open({ chooser: PLAIN }, { speculate: "off" }).engine.generate(request);
    const prediction_ids = ids.map((id, i) => (i % 20 === 19 ? 1 : id));
    const { engine, runner, clock } = open({ chooser: { ahead: 2, most: 16 } });
    // Batches take as long whatever their rows are, so that proposals pay.
    runner.before = () => {
      clock.ms++;
    };
    const found = await engine.generate({ ...request, prediction_ids });
    expect(found.ids).toEqual(ids);
    expect(found.prediction?.accepted).toBeGreaterThan(40);
    expect(engine.stats().accepted_draft_tokens).toBeGreaterThan(20);
  },
);

test("an engine that ends in mid-chain ends its generations", async () => {
  const { engine, runner } = open({ async: true });
  const running = engine.generate({ prompt_ids: [1, 2], max_tokens: 90, ...greedy });
  const failure = running.catch((error) => error);
  while (runner.batches.at(-1)?.ahead !== 5) await nextTask();
  await engine.dispose();
  expect(await failure).toMatchObject({ code: "engine_failed" });
  expect(runner.disposed).toBe(1);
});
