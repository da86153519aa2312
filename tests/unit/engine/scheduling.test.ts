import { describe, expect, test } from "vitest";
import type { GenerateRequest } from "../../../src/generate/request.ts";
import { settle, toyEngine } from "./toy-engine.ts";
import { toyGreedy } from "./toy-runner.ts";

const greedy = { temperature: 0, ignore_eos: true };
const prompt = (length: number, salt: number): number[] =>
  Array.from({ length }, (_, i) => (i * 11 + salt * 17 + 1) % 64);

/** Requests of many kinds. */
const requests: GenerateRequest[] = Array.from({ length: 12 }, (_, n) => ({
  prompt_ids: prompt(1 + ((n * 13) % 40), n),
  max_tokens: 1 + ((n * 7) % 25),
  ignore_eos: true,
  seed: n,
  ...[{}, { temperature: 0 }, { top_p: 0.7, repetition_penalty: 1.3 }, { frequency_penalty: 1 }][
    n % 4
  ],
}));

describe.each([
  ["at once", false],
  ["asynchronously", true],
])("with a runner that runs %s", (_, async) => {
  test.each([
    { slots: 1, maxRows: 1, maxLogits: 1 },
    { slots: 2, maxRows: 1, maxLogits: 1 },
    { slots: 3, maxRows: 2, maxLogits: 1 },
    { slots: 4, maxRows: 4, maxLogits: 2 },
    { slots: 5, maxRows: 3, maxLogits: 3 },
    { slots: 4, maxRows: 8, maxLogits: 4 },
    { slots: 12, maxRows: 64, maxLogits: 12 },
  ])("a request gives the same tokens alone and in any company: %o", async (sizes) => {
    const alone: number[][] = [];
    for (const request of requests) {
      alone.push((await toyEngine({ slots: 1 }).engine.generate(request)).ids);
    }
    const { engine, runner } = toyEngine({ ...sizes, async });
    const together = await Promise.all(requests.map((request) => engine.generate(request)));
    expect(together.map(({ ids }) => ids)).toEqual(alone);
    if (sizes.maxRows > 1 && sizes.slots > 1) {
      expect(Math.max(...runner.batches.map(({ spans }) => spans.length))).toBeGreaterThan(1);
    }
    expect(engine.stats()).toMatchObject({ busy: 0, queued: 0 });
  });
});

test("every running sequence gets a token while a long prompt is read", async () => {
  const { engine, runner } = toyEngine({ slots: 3, maxRows: 8 });
  const streams = [1, 2].map((n) =>
    engine.generate({ prompt_ids: [n], max_tokens: 40, ...greedy }),
  );
  await settle(4);
  const before = runner.batches.length;
  const long = engine.generate({ prompt_ids: prompt(60, 1), max_tokens: 1, ...greedy });
  await long;
  const during = runner.batches.slice(before);
  // 60 tokens in chunks of the 6 rows that two streams leave.
  expect(during.length).toBeGreaterThanOrEqual(10);
  for (const { spans, ids } of during.slice(1, 10)) {
    expect(spans.map(({ count }) => count)).toEqual([1, 1, 6]);
    expect(ids).toHaveLength(8);
  }
  await Promise.all(streams);
});

test("prompts are read in turns, a chunk each", async () => {
  const { engine, runner } = toyEngine({ slots: 3, maxRows: 8 });
  const all = [1, 2, 3].map((n) =>
    engine.generate({ prompt_ids: prompt(32, n), max_tokens: 1, ...greedy }),
  );
  await Promise.all(all);
  const slots = runner.batches.map(({ spans }) => spans.find(({ count }) => count > 1)!.slot);
  expect(slots).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
});

test("a short prompt does not wait for a long one to be read", async () => {
  const { engine } = toyEngine({ slots: 2, maxRows: 4 });
  const order: string[] = [];
  const long = engine
    .generate({ prompt_ids: prompt(100, 1), max_tokens: 1, ...greedy })
    .then(() => order.push("long"));
  const short = engine
    .generate({ prompt_ids: prompt(6, 2), max_tokens: 2, ...greedy })
    .then(() => order.push("short"));
  await Promise.all([long, short]);
  expect(order).toEqual(["short", "long"]);
});

test("prefillRows bounds the chunk of a prompt", async () => {
  const { engine, runner } = toyEngine({ maxRows: 64 }, { prefillRows: 5 });
  await engine.generate({ prompt_ids: prompt(23, 1), max_tokens: 1, ...greedy });
  expect(runner.batches.map(({ ids }) => ids.length)).toEqual([5, 5, 5, 5, 3]);
});

test("more sequences than rows take turns, and prompts still get on", async () => {
  const { engine, runner } = toyEngine({ slots: 6, maxRows: 4, maxLogits: 4 });
  const streams = Array.from({ length: 5 }, (_, n) =>
    engine.generate({ prompt_ids: [n + 1], max_tokens: 30, ...greedy }),
  );
  await settle(12);
  const before = runner.batches.length;
  await engine.generate({ prompt_ids: prompt(10, 9), max_tokens: 1, ...greedy });
  const during = runner.batches.slice(before);
  expect(during.length).toBeLessThanOrEqual(12);
  const served = [0, 0, 0, 0, 0, 0];
  for (const { spans } of during) for (const { slot } of spans) served[slot]++;
  const rows = served.slice(0, 5);
  expect(Math.max(...rows) - Math.min(...rows)).toBeLessThanOrEqual(1);
  await Promise.all(streams);
});

test("with one row a batch, streams and prompts take turns", async () => {
  const { engine, runner } = toyEngine({ slots: 2, maxRows: 1, maxLogits: 1 });
  const stream = engine.generate({ prompt_ids: [1], max_tokens: 60, ...greedy });
  await settle(4);
  const before = runner.batches.length;
  await engine.generate({ prompt_ids: prompt(20, 2), max_tokens: 1, ...greedy });
  expect(runner.batches.length - before).toBeLessThanOrEqual(2 * 20 + 2);
  expect((await stream).ids).toEqual(toyGreedy([1], 60));
});

describe("the queue", () => {
  test("is served in order of arrival", async () => {
    const { engine } = toyEngine({ slots: 1 });
    const order: number[] = [];
    const all = [0, 1, 2, 3, 4].map((n) =>
      engine
        .generate({ prompt_ids: [n + 1], max_tokens: 5 - n, ...greedy })
        .then(() => order.push(n)),
    );
    expect(engine.stats()).toMatchObject({ busy: 0, queued: 5 });
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  test("refuses what is beyond its bound and takes more when there is room", async () => {
    const { engine } = toyEngine({ slots: 2 }, { maxQueue: 1 });
    const request = { prompt_ids: [1], max_tokens: 3, ...greedy };
    const taken = [1, 2, 3].map(() => engine.generate(request));
    await expect(engine.generate(request)).rejects.toMatchObject({ code: "overloaded" });
    await Promise.all(taken);
    await expect(engine.generate(request)).resolves.toBeDefined();
    expect(engine.stats().requests).toBe(4);
  });

  test("of length 0 takes what runs at once", async () => {
    const { engine } = toyEngine({ slots: 1 }, { maxQueue: 0 });
    const request = { prompt_ids: [1], max_tokens: 3, ...greedy };
    const first = engine.generate(request);
    await expect(engine.generate(request)).rejects.toMatchObject({ code: "overloaded" });
    await first;
  });
});

describe("prefix reuse", () => {
  test("gives the same tokens as without a cache, and says how many were cached", async () => {
    const { engine } = toyEngine({ slots: 1 });
    const first = await engine.generate({ prompt_ids: prompt(20, 1), max_tokens: 10, ...greedy });
    // The last token was never run: the cache holds 20 + 9.
    const turn = [...prompt(20, 1), ...first.ids, 5, 6, 7];
    const second = await engine.generate({ prompt_ids: turn, max_tokens: 10, ...greedy });
    expect(first.timings.cached_n).toBe(0);
    expect(second.timings.cached_n).toBe(29);
    expect(second.ids).toEqual(toyGreedy(turn, 10));
  });

  test("runs the last token of a prompt again although all of it is cached", async () => {
    const { engine, runner } = toyEngine({ slots: 1 });
    const request = { prompt_ids: prompt(20, 1), max_tokens: 4, ...greedy };
    const first = await engine.generate(request);
    const before = runner.batches.length;
    const second = await engine.generate(request);
    expect(second.ids).toEqual(first.ids);
    expect(second.timings.cached_n).toBe(19);
    expect(runner.batches[before].spans).toEqual([{ slot: 0, start: 19, count: 1 }]);
  });

  test("stops at the first token that differs, and forgets what lay behind it", async () => {
    const { engine } = toyEngine({ slots: 1 });
    const first = prompt(20, 1);
    await engine.generate({ prompt_ids: first, max_tokens: 10, ...greedy });
    const other = [...first.slice(0, 12), 63, ...first.slice(13)];
    const second = await engine.generate({ prompt_ids: other, max_tokens: 10, ...greedy });
    expect(second.timings.cached_n).toBe(12);
    expect(second.ids).toEqual(toyGreedy(other, 10));
    const third = await engine.generate({ prompt_ids: first, max_tokens: 10, ...greedy });
    expect(third.timings.cached_n).toBe(12);
    expect(third.ids).toEqual(toyGreedy(first, 10));
  });

  test("takes the slot with most of the prompt, else the least recently used", async () => {
    const { engine, runner } = toyEngine({ slots: 3 });
    const run = async (ids: number[]): Promise<number> => {
      await engine.generate({ prompt_ids: ids, max_tokens: 1, ...greedy });
      return runner.batches.at(-1)!.spans[0].slot;
    };
    expect(await run([1, 2, 3])).toBe(0);
    expect(await run([4, 5, 6])).toBe(1);
    expect(await run([7, 8, 9])).toBe(2);
    expect(await run([4, 5, 6, 7])).toBe(1);
    expect(await run([1, 2, 3, 4])).toBe(0);
    expect(await run([30, 31])).toBe(2);
    expect(await run([40, 41])).toBe(1);
  });

  test("works from what a cancelled request left", async () => {
    const { engine, runner } = toyEngine({ slots: 1, maxRows: 4 });
    const controller = new AbortController();
    const long = prompt(40, 1);
    const cut = engine.generate({ prompt_ids: long, ...greedy }, { signal: controller.signal });
    await settle(5);
    controller.abort();
    await expect(cut).rejects.toMatchObject({ code: "aborted" });
    const read = runner.batches.reduce((sum, { ids }) => sum + ids.length, 0);
    expect(read).toBeGreaterThan(4);
    const { ids, timings } = await engine.generate({ prompt_ids: long, max_tokens: 5, ...greedy });
    expect(timings.cached_n).toBe(read);
    expect(ids).toEqual(toyGreedy(long, 5));
  });
});
