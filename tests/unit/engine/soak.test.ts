import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { bitsAt } from "../../../src/generate/random.ts";
import { collect, nextTask, settle, toyEngine } from "./toy-engine.ts";
import { toyGreedy } from "./toy-runner.ts";

test.each([
  { async: false, slots: 4, maxRows: 8, maxLogits: 4 },
  { async: true, slots: 3, maxRows: 2, maxLogits: 2 },
  { async: true, slots: 3, maxRows: 8, maxLogits: 8, chooser: { ahead: 6, most: 16 } },
])("two hundred requests, many of them cancelled, leave nothing behind: %o", async (sizes) => {
  const { engine } = toyEngine({ ...sizes, ctx: 64 }, { maxQueue: 1000 });
  let draws = 0;
  const pick = (below: number): number => Number(bitsAt(2024n, draws++) % BigInt(below));
  const signals: AbortSignal[] = [];
  let ended = 0;
  let whole = 0;

  const run = async (): Promise<void> => {
    const kind = pick(5);
    const prompt = Array.from({ length: 1 + pick(30) }, () => pick(4));
    const count = 1 + pick(30);
    const controller = new AbortController();
    const { signal } = controller;
    signals.push(signal);
    const request = { prompt_ids: prompt, max_tokens: count, temperature: 0, ignore_eos: true };
    const delay = pick(40);
    for (let n = pick(60); n > 0; n--) await nextTask();
    if (kind === 0) {
      // A reader that leaves.
      let left = pick(10);
      for await (const _part of engine.stream(request, { signal })) if (left-- === 0) break;
      ended++;
      return;
    }
    if (kind === 1) {
      // A caller that aborts at some time.
      const cut = engine.generate(request, { signal }).catch((error) => error);
      for (let n = delay; n > 0; n--) await nextTask();
      controller.abort();
      const outcome = await cut;
      if (outcome instanceof PronkError) expect(outcome.code).toBe("aborted");
      else expect(outcome.ids).toEqual(toyGreedy(prompt, count));
      ended++;
      return;
    }
    const generation = engine.stream(request, { signal });
    const ids = (await collect(generation)).map(({ token }) => token);
    expect(ids).toEqual(toyGreedy(prompt, count));
    expect((await generation.result).ids).toEqual(ids);
    whole++;
    ended++;
  };

  await Promise.all(Array.from({ length: 200 }, run));
  expect(ended).toBe(200);
  expect(whole).toBeGreaterThan(80);
  expect(engine.stats()).toMatchObject({ busy: 0, queued: 0, requests: 200 });
  await settle(5);
  expect(signals.flatMap((signal) => getEventListeners(signal, "abort"))).toEqual([]);
});
