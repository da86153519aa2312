/** Adapters come and go while requests run: none ever computes with one that is freed, or another's cache. */
import { expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { bitsAt } from "../../../src/generate/random.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { nextTask, settle, toyEngine } from "./toy-engine.ts";
import { toyGreedy } from "./toy-runner.ts";

// Loaded when it is first used: how long that takes is not what is tested.
await import("../../../src/engine/load-adapters.ts");

const NAMES = ["a", "b", "c"];
const folders = await Promise.all([0, 1, 2, 3].map((n) => randomLoraFolder(`content${n}`)));

test.each([
  { async: false, slots: 4, maxRows: 8, maxLogits: 8 },
  { async: true, slots: 3, maxRows: 4, maxLogits: 4 },
])(
  "three hundred requests beside loads and unloads each give their own text: %o",
  async (sizes) => {
    const { engine, runner } = toyEngine({ ...sizes, ctx: 64 }, { maxQueue: 1000 });
    let draws = 0;
    const pick = (below: number): number => Number(bitsAt(2026n, draws++) % BigInt(below));
    let isOver = false;
    let whole = 0;
    let adapted = 0;

    const request = async (): Promise<void> => {
      for (let n = pick(300); n > 0; n--) await nextTask();
      // Prompts that begin alike, so that caches are gone on from.
      const prompt_ids = Array.from({ length: 8 + pick(12) }, (_, i) => (i < 6 ? i + 1 : pick(3)));
      const max_tokens = 1 + pick(20);
      const present = engine.adapters.filter(() => pick(2) === 0);
      const adapters = present.map(({ name }) => ({ name, scale: 1 + pick(2) }));
      // In the order of their ids, as the engine adds them up.
      const salted = present.map(({ path }, i) => [path, adapters[i].scale] as const);
      const abort = new AbortController();
      const cut = pick(4) === 0 ? pick(30) : undefined;
      const running = engine
        .generate(
          { prompt_ids, max_tokens, temperature: 0, ignore_eos: true, adapters },
          { signal: abort.signal },
        )
        .catch((error: unknown) => error);
      if (cut !== undefined) {
        for (let n = cut; n > 0; n--) await nextTask();
        abort.abort();
      }
      const outcome = await running;
      if (outcome instanceof PronkError && cut !== undefined) {
        expect(outcome.code).toBe("aborted");
        return;
      }
      expect(outcome).toMatchObject({ ids: toyGreedy(prompt_ids, max_tokens, 64, salted) });
      whole++;
      if (adapters.length > 0) adapted++;
    };
    const churn = async (name: string): Promise<void> => {
      while (!isOver) {
        await engine.loadAdapter(name, folders[pick(folders.length)]);
        for (let n = pick(30); n > 0; n--) await nextTask();
        if (pick(3) === 0) {
          await engine.loadAdapter(name, folders[pick(folders.length)], { replace: true });
        }
        const unloading = engine.unloadAdapter(name);
        if (pick(2) === 0) await unloading;
      }
    };

    const churning = NAMES.map(churn);
    // Loading hashes, which takes as long as the machine is busy.
    while (engine.adapters.length === 0) await nextTask();
    await Promise.all(Array.from({ length: 300 }, request));
    isOver = true;
    await Promise.all(churning);
    await settle(20);
    expect(whole).toBeGreaterThan(200);
    expect(adapted).toBeGreaterThan(0);
    expect(engine.adapters).toEqual([]);
    expect(runner.adapters.size).toBe(0);
    expect(engine.stats()).toMatchObject({ busy: 0, queued: 0, requests: 300 });
    expect(engine.stats().cached_tokens).toBeGreaterThan(100);
  },
);
