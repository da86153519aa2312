import { describe, expect, test } from "vitest";
import type { Engine } from "../../../src/engine/engine.ts";
import type { GenerateResult } from "../../../src/generate/request.ts";
import { collect, engineOver, settle, toyEngine } from "./toy-engine.ts";
import { ToyRunner, toyGreedy } from "./toy-runner.ts";

const greedy = { temperature: 0, ignore_eos: true } as const;
const BIG = { vocab: 64, ctx: 512, maxRows: 16 };

/** Tokens that no other seed's begin with. */
function tokens(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => 1 + ((seed * 31 + i * 7 + ((i * seed) % 5)) % 62));
}

const ask = (engine: Engine, prompt_ids: number[], max_tokens = 4): Promise<GenerateResult> =>
  engine.generate({ prompt_ids, max_tokens, ...greedy });

const rowsOf = ({ batches }: ToyRunner): number =>
  batches.reduce((sum, { ids }) => sum + ids.length, 0);

describe("a prompt that begins as another slot's text", () => {
  test("goes to an empty slot with a copy: the conversation that it shares with stays", async () => {
    const { engine, runner } = toyEngine({ ...BIG, slots: 3 });
    const system = tokens(20, 1);
    const conversation = [...system, ...tokens(200, 2)];
    await ask(engine, conversation);
    const other = [...system, ...tokens(10, 3)];
    const result = await ask(engine, other);
    expect(result.timings.cached_n).toBe(20);
    expect(result.ids).toEqual(toyGreedy(other, 4));
    expect(runner.copies).toEqual([{ from: 0, to: 1, positions: 20 }]);
    const next = await ask(engine, [...conversation, ...tokens(10, 4)]);
    expect(next.timings.cached_n).toBeGreaterThanOrEqual(conversation.length);
  });

  test("is copied from a slot that is in use", async () => {
    const { engine, runner } = toyEngine({ ...BIG, slots: 2 });
    const system = tokens(40, 1);
    const running = engine.stream({ prompt_ids: [...system, 9], max_tokens: 100, ...greedy });
    await settle(20);
    const other = [...system, ...tokens(10, 3)];
    const result = await ask(engine, other);
    expect(result.timings.cached_n).toBe(40);
    expect(result.ids).toEqual(toyGreedy(other, 4));
    expect(runner.copies).toEqual([{ from: 0, to: 1, positions: 40 }]);
    expect((await collect(running)).map(({ token }) => token)).toEqual(
      toyGreedy([...system, 9], 100),
    );
  });

  test("is read once where several come at the same time", async () => {
    const { engine, runner } = toyEngine({ ...BIG, slots: 4 });
    const system = tokens(160, 1);
    const prompts = [2, 3, 4, 5].map((seed) => [...system, seed, ...tokens(7, seed)]);
    const results = await Promise.all(prompts.map((prompt) => ask(engine, prompt)));
    results.forEach(({ ids }, i) => {
      expect(ids).toEqual(toyGreedy(prompts[i], 4));
    });
    expect(results.map(({ timings }) => timings.cached_n)).toEqual([0, 160, 160, 160]);
    expect(engine.stats().cached_tokens).toBe(480);
    expect(rowsOf(runner)).toBe(160 + 4 * (8 + 3));
  });

  test("is read by who waits for it when who reads it is cancelled", async () => {
    const { engine } = toyEngine({ ...BIG, slots: 2 });
    const system = tokens(160, 1);
    const controller = new AbortController();
    const first = ask(engine, system);
    const cut = engine.generate(
      { prompt_ids: [...system, 8], ...greedy },
      { signal: controller.signal },
    );
    await first;
    const third = ask(engine, [...system, 9, 10]);
    controller.abort();
    await expect(cut).rejects.toMatchObject({ code: "aborted" });
    expect((await third).ids).toEqual(toyGreedy([...system, 9, 10], 4));
  });

  test("is not shared where a cache depends on how its text was cut", async () => {
    const runner = Object.assign(new ToyRunner({ ...BIG, slots: 2 }), { isCutDependent: true });
    const { engine } = engineOver(runner);
    const prompt = tokens(40, 1);
    await ask(engine, prompt);
    const both = await Promise.all([ask(engine, [...prompt, 7]), ask(engine, [...prompt, 8])]);
    expect(both.map(({ timings }) => timings.cached_n)).toEqual([0, 0]);
    expect(runner.copies).toEqual([]);
  });
});

describe("what is given up for a new text", () => {
  test("is the shorter text, although it was used later", async () => {
    const { engine } = toyEngine({ ...BIG, slots: 2 });
    const long = tokens(300, 1);
    const short = tokens(30, 2);
    await ask(engine, long);
    await ask(engine, short);
    await ask(engine, tokens(30, 3));
    expect((await ask(engine, [...long, 5])).timings.cached_n).toBeGreaterThanOrEqual(300);
    expect((await ask(engine, [...short, 5])).timings.cached_n).toBeLessThan(3);
  });

  test("is in the end also a long text that nobody comes back to", async () => {
    const { engine } = toyEngine({ ...BIG, slots: 2 });
    const long = tokens(200, 1);
    await ask(engine, long);
    for (let seed = 2; seed < 30; seed++) await ask(engine, tokens(30, seed));
    expect((await ask(engine, [...long, 5])).timings.cached_n).toBeLessThan(3);
  });

  test("is nothing where a text goes on", async () => {
    const { engine, runner } = toyEngine({ ...BIG, slots: 2 });
    const first = await ask(engine, tokens(100, 1));
    const turn = [...tokens(100, 1), ...first.ids, 5, 6];
    expect((await ask(engine, turn)).timings.cached_n).toBe(103);
    expect(runner.copies).toEqual([]);
  });
});
