import { describe, expect, test } from "vitest";
import { collect, toyEngine } from "./toy-engine.ts";
import { toyLogits } from "./toy-runner.ts";

const WIDTH = 8;
const texts = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20], [5, 6]];

/** The toy's states: the first of the logits after these tokens. */
const stateOf = (ids: readonly number[]): number[] => [...toyLogits(ids, 64).subarray(0, WIDTH)];
const unit = (numbers: readonly number[]): number[] => {
  const length = Math.hypot(...numbers);
  return numbers.map((number) => number / length);
};
const mean = (rows: readonly number[][]): number[] =>
  rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
const states = (ids: readonly number[]): number[][] =>
  ids.map((_, i) => stateOf(ids.slice(0, i + 1)));

function close(found: ArrayLike<number>, expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  expected.forEach((number, i) => {
    expect(found[i]).toBeCloseTo(number, 6);
  });
}

describe.each([false, true])("on a runner that is asynchronous: %s", (isAsync) => {
  test.each([{ slots: 1 }, { slots: 4 }, { slots: 4, maxRows: 3, maxLogits: 1 }])(
    "vectors are by hand, in order, and the same bits for %j",
    async (toy) => {
      const { engine } = toyEngine({ ...toy, async: isAsync });
      const { engine: plain } = toyEngine({});
      const cases = [
        [{}, (ids: number[]) => unit(mean(states(ids)))],
        [{ pooling: "last" }, (ids: number[]) => unit(stateOf(ids))],
        [{ normalize: false }, (ids: number[]) => mean(states(ids))],
        [{ dimensions: 3 }, (ids: number[]) => unit(mean(states(ids)).slice(0, 3))],
        [{ pooling: "none" }, (ids: number[]) => states(ids).flatMap(unit)],
      ] as const;
      for (const [options, byHand] of cases) {
        const found = await engine.embed(texts, options);
        for (const [t, ids] of texts.entries()) {
          close(found[t], byHand(ids));
          expect([found[t]]).toEqual(await plain.embed([ids], options));
        }
      }
      await engine.dispose();
      await plain.dispose();
    },
  );
});

test("several texts share batches where slots are free, and leave half of the caches", async () => {
  const { engine, runner } = toyEngine({ slots: 4, maxRows: 16 });
  await engine.embed(texts);
  expect(runner.batches.map(({ spans }) => spans.length)).toEqual([3, 1]);

  const prompts = [10, 20, 30, 40].map((id) => [id, id + 1, id + 2, id + 3]);
  const readAll = async (): Promise<number> => {
    const before = engine.stats().cached_tokens;
    for (const prompt_ids of prompts) await engine.generate({ prompt_ids, max_tokens: 1 });
    return engine.stats().cached_tokens - before;
  };
  expect(await readAll()).toBe(0);
  expect(await readAll()).toBe(4 * 3);
  await engine.embed(texts);
  expect(await readAll()).toBe(2 * 3);
  await engine.dispose();
});

test("generations beside it go on and are what they are alone", async () => {
  const request = { prompt_ids: [1, 2, 3], max_tokens: 20, temperature: 0, ignore_eos: true };
  const many = Array.from({ length: 300 }, (_, i) => [1 + (i % 60), 2, 3, 4]);
  const alone = toyEngine({ slots: 1 });
  const expected = await alone.engine.generate(request);
  const vectors = await alone.engine.embed(many);
  const { engine } = toyEngine({ slots: 1 });
  let done = "";
  const [found, parts] = await Promise.all([
    engine.embed(many).finally(() => {
      done += "e";
    }),
    collect(engine.stream(request)).finally(() => {
      done += "g";
    }),
  ]);
  expect(found).toEqual(vectors);
  expect(parts.map(({ token }) => token)).toEqual(expected.ids);
  // It gets the slot between two turns.
  expect(done).toBe("ge");
  expect(engine.stats().busy).toBe(0);
  await engine.dispose();
});

test("aborting frees the slots", async () => {
  const { engine } = toyEngine({ slots: 2 });
  const abort = new AbortController();
  const running = engine.embed(texts, { signal: abort.signal });
  abort.abort();
  await expect(running).rejects.toMatchObject({ code: "aborted" });
  expect(engine.stats().busy).toBe(0);
  await engine.dispose();
});

test.each([
  ["no tokens", [[]], {}, "bad_request", "input[0]"],
  ["ids outside the vocabulary", [[1], [64]], {}, "bad_request", "input[1]"],
  ["more than the context", [Array(129).fill(1)], {}, "context_overflow", "input[0]"],
  ["no dimensions", [[1]], { dimensions: 0 }, "bad_request", "dimensions"],
  ["more dimensions than there are", [[1]], { dimensions: 9 }, "bad_request", "dimensions"],
])("refuses %s", async (_, texts, options, code, param) => {
  const { engine } = toyEngine({});
  await expect(engine.embed(texts, options)).rejects.toMatchObject({ code, param });
  await engine.dispose();
});
