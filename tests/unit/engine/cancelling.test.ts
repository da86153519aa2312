import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { PAUSED_LEASE_MS, RUN_AHEAD_PARTS } from "../../../src/engine/leases.ts";
import { PronkError } from "../../../src/errors.ts";
import { collect, settle, toyEngine } from "./toy-engine.ts";
import { toyGreedy } from "./toy-runner.ts";

const greedy = { temperature: 0, ignore_eos: true };
const idle = { busy: 0, queued: 0 };

describe.each([
  ["at once", false],
  ["asynchronously", true],
])("with a runner that runs %s", (_, async) => {
  test("a signal stops a stream within one token and frees the slot", async () => {
    const { engine, runner } = toyEngine({ async });
    const controller = new AbortController();
    const { signal } = controller;
    const reason = new Error("enough");
    const generation = engine.stream({ prompt_ids: [1, 2], ...greedy }, { signal });
    const seen: number[] = [];
    let atAbort = 0;
    const reading = (async () => {
      for await (const { token } of generation) {
        seen.push(token);
        if (seen.length < 5) continue;
        atAbort = runner.batches.length;
        controller.abort(reason);
        expect(engine.stats()).toMatchObject(idle);
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "aborted", cause: reason });
    await expect(generation.result).rejects.toMatchObject({ code: "aborted" });
    await settle();
    expect(seen).toEqual(toyGreedy([1, 2], 5));
    expect(runner.batches.length).toBeLessThanOrEqual(atAbort + 1);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("a signal stops a prompt within one chunk", async () => {
    const { engine, runner } = toyEngine({ async, maxRows: 4 });
    const controller = new AbortController();
    runner.before = () => {
      if (runner.batches.length === 2) queueMicrotask(() => controller.abort());
    };
    const request = { prompt_ids: new Array(100).fill(5), ...greedy };
    const result = engine.generate(request, { signal: controller.signal });
    await expect(result).rejects.toMatchObject({ code: "aborted" });
    await settle();
    expect(runner.batches).toHaveLength(3);
    expect(engine.stats()).toMatchObject(idle);
  });

  test("leaving the loop stops a stream and frees the slot", async () => {
    const { engine, runner } = toyEngine({ async });
    const generation = engine.stream({ prompt_ids: [1, 2], ...greedy });
    for await (const _part of generation) break;
    expect(engine.stats()).toMatchObject(idle);
    const ran = runner.batches.length;
    await settle();
    expect(runner.batches.length).toBe(ran);
    await expect(generation.result).rejects.toMatchObject({ code: "aborted" });
    expect(await collect(generation)).toEqual([]);
  });

  test("a request is cancelled in the queue and never runs", async () => {
    const { engine, runner } = toyEngine({ async, slots: 1 });
    const controller = new AbortController();
    const first = engine.generate({ prompt_ids: [1], max_tokens: 20, ...greedy });
    const second = engine.generate({ prompt_ids: [33], ...greedy }, { signal: controller.signal });
    const third = engine.generate({ prompt_ids: [2], max_tokens: 2, ...greedy });
    await settle(5);
    controller.abort();
    await expect(second).rejects.toMatchObject({ code: "aborted" });
    expect((await first).ids).toEqual(toyGreedy([1], 20));
    expect((await third).ids).toEqual(toyGreedy([2], 2));
    expect(runner.batches.some(({ ids }) => Array.from(ids).includes(33))).toBe(false);
  });

  test("others go on with their own tokens when one is cancelled", async () => {
    const { engine } = toyEngine({ async, slots: 3 });
    const controller = new AbortController();
    const { signal } = controller;
    const kept = [1, 2].map((n) => engine.generate({ prompt_ids: [n], max_tokens: 30, ...greedy }));
    const cut = engine.generate({ prompt_ids: [3], ...greedy }, { signal });
    await settle(6);
    controller.abort();
    await expect(cut).rejects.toMatchObject({ code: "aborted" });
    const results = await Promise.all(kept);
    expect(results.map(({ ids }) => ids)).toEqual([toyGreedy([1], 30), toyGreedy([2], 30)]);
  });

  test("dispose in mid-run ends all with engine_failed and frees the runner once", async () => {
    const { engine, runner } = toyEngine({ async, slots: 2 });
    const all = [1, 2, 3, 4].map((n) => engine.stream({ prompt_ids: [n], ...greedy }));
    const reading = collect(all[0]).catch((error) => error);
    await settle(5);
    await Promise.all([engine.dispose(), engine.dispose()]);
    expect(runner.disposed).toBe(1);
    expect(await reading).toMatchObject({ code: "engine_failed" });
    for (const { result } of all) {
      await expect(result).rejects.toMatchObject({ code: "engine_failed" });
    }
    await expect(engine.generate({ prompt_ids: [1] })).rejects.toMatchObject({
      code: "engine_failed",
      message: expect.stringContaining("disposed"),
    });
    await settle();
    expect(engine.stats()).toMatchObject(idle);
  });

  test("a backend that fails ends all and every later call, and is disposed", async () => {
    const { engine, runner } = toyEngine({ async, slots: 1 });
    const all = [1, 2].map((n) => engine.generate({ prompt_ids: [n], ...greedy }));
    await settle(3);
    const trap = new Error("unreachable");
    runner.before = () => {
      throw trap;
    };
    for (const result of all) {
      await expect(result).rejects.toMatchObject({ code: "engine_failed", cause: trap });
    }
    await expect(engine.generate({ prompt_ids: [1] })).rejects.toMatchObject({
      code: "engine_failed",
      cause: trap,
    });
    expect(runner.disposed).toBe(1);
    await engine.dispose();
    expect(runner.disposed).toBe(1);
  });

  test("a backend that refuses a batch ends that batch's sequences only", async () => {
    const { engine, runner } = toyEngine({ async, slots: 1 });
    const first = engine.generate({ prompt_ids: [1, 2, 3], ...greedy });
    const second = engine.generate({ prompt_ids: [1, 2, 3], max_tokens: 4, ...greedy });
    await settle(4);
    runner.before = () => {
      runner.before = undefined;
      throw new PronkError("bad_request", "no");
    };
    await expect(first).rejects.toMatchObject({ code: "engine_failed" });
    const { ids, timings } = await second;
    expect(ids).toEqual(toyGreedy([1, 2, 3], 4));
    expect(timings.cached_n).toBe(0);
    expect(runner.disposed).toBe(0);
  });
});

test("a token of a batch that was in flight when its caller left is dropped", async () => {
  const { engine, runner } = toyEngine({ async: true });
  const controller = new AbortController();
  runner.before = () => {
    if (runner.batches.length === 2) queueMicrotask(() => controller.abort());
  };
  const generation = engine.stream({ prompt_ids: [1], ...greedy }, { signal: controller.signal });
  await expect(generation.result).rejects.toMatchObject({ code: "aborted" });
  await settle();
  expect(runner.batches).toHaveLength(3);
  expect(engine.stats().generated_tokens).toBe(2);
});

test("logits that are not numbers end that generation only and spoil no cache", async () => {
  const { engine, runner } = toyEngine({ slots: 2 });
  const logits = runner.logits.bind(runner);
  const sick = engine.generate({ prompt_ids: [1, 2], max_tokens: 9, ignore_eos: true, seed: 1 });
  const well = engine.generate({ prompt_ids: [3, 4], max_tokens: 9, ...greedy });
  await settle(3);
  runner.logits = (index) => {
    const { slot } = runner.batches.at(-1)!.spans[index];
    if (slot !== 0) return logits(index);
    runner.logits = logits;
    return logits(index).map(() => Number.NaN);
  };
  await expect(sick).rejects.toMatchObject({ code: "engine_failed" });
  expect((await well).ids).toEqual(toyGreedy([3, 4], 9));
  const again = await engine.generate({ prompt_ids: [1, 2, 3], max_tokens: 3, ...greedy });
  expect(again.timings.cached_n).toBe(0);
  expect(again.ids).toEqual(toyGreedy([1, 2, 3], 3));
});

test("an arg max that is no token ends that generation only", async () => {
  const { engine, runner } = toyEngine({ slots: 1 });
  const argmax = runner.argmax.bind(runner);
  runner.argmax = () => {
    runner.argmax = argmax;
    return -1;
  };
  const request = { prompt_ids: [1, 2], max_tokens: 3, ...greedy };
  await expect(engine.generate(request)).rejects.toMatchObject({ code: "engine_failed" });
  expect((await engine.generate(request)).ids).toEqual(toyGreedy([1, 2], 3));
});

test("nobody has to look at the result of a generation that fails", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => {
    unhandled.push(reason);
  };
  process.on("unhandledRejection", note);
  const { engine } = toyEngine();
  const controller = new AbortController();
  engine.stream({ prompt_ids: [] });
  engine.stream({ prompt_ids: [1] }, { signal: AbortSignal.abort() });
  const cancelled = engine.stream({ prompt_ids: [1] }, { signal: controller.signal });
  void cancelled[Symbol.asyncIterator]().return?.();
  engine.stream({ prompt_ids: [1], ...greedy });
  await engine.dispose();
  await settle(5);
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

describe("an iterator", () => {
  test("gives concurrent readers their parts in order", async () => {
    const { engine } = toyEngine();
    const iterator = engine
      .stream({ prompt_ids: [1], max_tokens: 3, ...greedy })
      [Symbol.asyncIterator]();
    const reads = await Promise.all(Array.from({ length: 5 }, () => iterator.next()));
    expect(reads.map(({ value }) => value?.token)).toEqual([
      ...toyGreedy([1], 3),
      undefined,
      undefined,
    ]);
    expect(reads.map(({ done }) => done)).toEqual([false, false, false, true, true]);
  });

  test("throws an error once and is done then", async () => {
    const { engine } = toyEngine();
    const iterator = engine.stream({ prompt_ids: [] })[Symbol.asyncIterator]();
    await expect(iterator.next()).rejects.toMatchObject({ code: "bad_request" });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test("releases a waiting reader when it is returned", async () => {
    const { engine } = toyEngine();
    const iterator = engine.stream({ prompt_ids: [1], ...greedy })[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await iterator.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test("returned after the end changes nothing", async () => {
    const { engine } = toyEngine();
    const generation = engine.stream({ prompt_ids: [1], max_tokens: 2, ...greedy });
    await generation.result;
    await generation[Symbol.asyncIterator]().return?.();
    expect((await generation.result).ids).toEqual(toyGreedy([1], 2));
  });
});

describe("a consumer that does not read", () => {
  const request = { prompt_ids: [1, 2, 3], max_tokens: 100, ...greedy };

  test("lets its generation run ahead to the bound, then gives up the slot to others", async () => {
    const { engine, runner, clock } = toyEngine({ slots: 1 });
    const generation = engine.stream(request);
    const iterator = generation[Symbol.asyncIterator]();
    const other = { prompt_ids: [7, 8], max_tokens: 20, ...greedy };
    await settle(200);
    expect(runner.batches).toHaveLength(RUN_AHEAD_PARTS);
    expect(engine.stats()).toMatchObject(idle);
    const yields = clock.yields;
    await settle(20);
    expect(clock.yields).toBe(yields);

    expect((await engine.generate(other)).ids).toEqual(toyGreedy([7, 8], 20));
    // The other one took its cache. It goes on all the same, with the same tokens.
    const seen: number[] = [];
    for (let read = await iterator.next(); !read.done; read = await iterator.next()) {
      seen.push(read.value.token);
    }
    expect(seen).toEqual(toyGreedy([1, 2, 3], 100));
    expect((await generation.result).ids).toEqual(seen);
    expect((await generation.result).timings).toMatchObject({ prompt_n: 3, predicted_n: 100 });
    expect(engine.stats()).toMatchObject({ requests: 2, prompt_tokens: 5, ...idle });
  });

  test("is resumed when half of what it has not read is left", async () => {
    const { engine, runner } = toyEngine({ slots: 1 });
    const iterator = engine.stream(request)[Symbol.asyncIterator]();
    await settle(200);
    for (let n = 0; n < RUN_AHEAD_PARTS / 2 - 1; n++) await iterator.next();
    await settle(20);
    expect(runner.batches).toHaveLength(RUN_AHEAD_PARTS);
    await iterator.next();
    await settle(200);
    expect(runner.batches).toHaveLength(RUN_AHEAD_PARTS + RUN_AHEAD_PARTS / 2);
  });

  test("goes on before requests that came after it", async () => {
    const { engine } = toyEngine({ slots: 1 });
    const order: string[] = [];
    const slow = engine.stream(request);
    const iterator = slow[Symbol.asyncIterator]();
    await settle(200);
    const note = (name: string) => () => order.push(name);
    const second = engine.generate({ prompt_ids: [5], max_tokens: 30, ...greedy });
    const third = engine.generate({ prompt_ids: [6], max_tokens: 1, ...greedy });
    const noted = [second.then(note("second")), third.then(note("third"))];
    await settle(5);
    for (let n = 0; n < RUN_AHEAD_PARTS; n++) await iterator.next();
    noted.push(slow.result.then(note("slow")));
    await Promise.all(noted);
    expect(order).toEqual(["second", "slow", "third"]);
  });

  test("finds its cache again when nobody else needed the slot", async () => {
    const { engine, runner } = toyEngine({ slots: 1 });
    const parts = engine.stream(request)[Symbol.asyncIterator]();
    await settle(200);
    for (let n = 0; n < 100; n++) await parts.next();
    // Nothing was run twice: 3 of the prompt and all of the output but its last.
    const rows = runner.batches.reduce((sum, { ids }) => sum + ids.length, 0);
    expect(rows).toBe(3 + 99);
  });

  test("is given up after the lease, by the injected clock", async () => {
    const { engine, clock } = toyEngine({ slots: 1 });
    const generation = engine.stream(request);
    const iterator = generation[Symbol.asyncIterator]();
    await iterator.next();
    await settle(200);
    clock.ms += PAUSED_LEASE_MS;
    await engine.generate(request);
    expect(await Promise.race([generation.result, settle(5).then(() => "open")])).toBe("open");
    clock.ms += 1;
    expect((await engine.generate(request)).ids).toEqual(toyGreedy([1, 2, 3], 100));
    await expect(generation.result).rejects.toMatchObject({ code: "aborted" });
    // What was buffered can still be read.
    for (let n = 0; n < RUN_AHEAD_PARTS; n++) expect((await iterator.next()).done).toBe(false);
    await expect(iterator.next()).rejects.toMatchObject({ code: "aborted" });
  });

  test("and never asked for an iterator gets its result", async () => {
    const { engine } = toyEngine({ slots: 1 });
    const generation = engine.stream(request);
    expect((await generation.result).ids).toEqual(toyGreedy([1, 2, 3], 100));
    expect(await collect(generation)).toHaveLength(100);
  });

  test("can be cancelled while it is paused", async () => {
    const { engine } = toyEngine({ slots: 1 });
    const controller = new AbortController();
    const generation = engine.stream(request, { signal: controller.signal });
    const iterator = generation[Symbol.asyncIterator]();
    await settle(200);
    controller.abort();
    await expect(iterator.next()).rejects.toMatchObject({ code: "aborted" });
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });
});
