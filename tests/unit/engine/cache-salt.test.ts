/** Prefixes of one salt are nobody else's: not from slots, not from storage, not of the draft; tokens never change. */
import { describe, expect, test } from "vitest";
import type { CallOptions, Engine } from "../../../src/engine/engine.ts";
import type { GenerateRequest, GenerateResult } from "../../../src/generate/request.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { collect, settle, toyEngine, toyModel } from "./toy-engine.ts";
import { type ToyRunner, toyGreedy } from "./toy-runner.ts";

const greedy = { temperature: 0, ignore_eos: true } as const;
const SIZES = { vocab: 64, ctx: 256, maxRows: 16, slots: 3 };
const prompt = Array.from({ length: 70 }, (_, i) => 1 + ((i * 13) % 60));

/** Two owners, and nobody. */
const OTHERS: readonly [string, string | undefined, string | undefined][] = [
  ["another salt", "alice", "bob"],
  ["no salt", "alice", undefined],
  ["a salt where the first had none", undefined, "bob"],
  ["a salt that the other begins with", "alice", "alice2"],
  ["a salt of another case", "alice", "Alice"],
  ["a salt with a space behind it", "alice", "alice "],
];

const ask = (
  engine: Engine,
  cacheSalt: string | undefined,
  request: Partial<GenerateRequest> = {},
): Promise<GenerateResult> =>
  engine.generate({ prompt_ids: prompt, max_tokens: 4, ...greedy, ...request }, { cacheSalt });

describe.each(OTHERS)("a prompt with %s", (_, first, second) => {
  test("is read anew, to the same tokens, and found again by its own", async () => {
    const { engine, runner } = toyEngine(SIZES);
    await ask(engine, first);
    const other = await ask(engine, second);
    expect(other.timings.cached_n).toBe(0);
    expect(other.ids).toEqual(toyGreedy(prompt, 4));
    expect(runner.copies).toEqual([]);
    for (const salt of [first, second]) {
      const again = await ask(engine, salt);
      expect(again.timings.cached_n).toBe(prompt.length - 1);
      expect(again.ids).toEqual(toyGreedy(prompt, 4));
    }
  });

  test("is read anew in the very slot that the other left", async () => {
    const { engine, runner } = toyEngine({ ...SIZES, slots: 1 });
    await ask(engine, first);
    const before = runner.batches.length;
    const { ids, timings } = await ask(engine, second);
    expect([ids, timings.cached_n]).toEqual([toyGreedy(prompt, 4), 0]);
    const rows = runner.batches.slice(before).reduce((sum, one) => sum + one.ids.length, 0);
    expect(rows).toBe(prompt.length + 3);
  });

  test("takes nothing from a slot that is in use, or being read", async () => {
    const { engine, runner } = toyEngine(SIZES);
    const together = [ask(engine, first), ask(engine, second), ask(engine, first)];
    await settle(4);
    const late = ask(engine, second, { prompt_ids: [...prompt, 9] });
    const results = await Promise.all(together);
    expect(results.map(({ timings }) => timings.cached_n)).toEqual([0, 0, prompt.length - 1]);
    expect((await late).timings.cached_n).toBe(prompt.length);
    for (const { ids } of results) expect(ids).toEqual(toyGreedy(prompt, 4));
    expect(runner.copies.length).toBeGreaterThan(0);
  });

  test.each([
    ["at once", 0],
    ["while the other's is read", 3],
    ["while the other is answered", 30],
    ["when the other has ended", 200],
  ])("has the batches that it has beside another text, asked %s", async (_, tasks) => {
    const other = prompt.map((id) => 61 - id);
    const batchesBeside = async (theirs: number[]) => {
      const { engine, runner } = toyEngine({ ...SIZES, slots: 2 }, { speculate: "off" });
      const long = { prompt_ids: theirs, max_tokens: 40 };
      const running = ask(engine, first, long);
      await settle(tasks);
      const { ids } = await ask(engine, second);
      expect(ids).toEqual(toyGreedy(prompt, 4));
      expect((await running).ids).toEqual(toyGreedy(theirs, 40));
      return runner.batches.map(({ spans }) => spans);
    };
    expect(await batchesBeside(prompt)).toEqual(await batchesBeside(other));
  });

  test("finds nothing of what was scored, read for log-probabilities, or saved", async () => {
    const cached: number[][] = [];
    const works: ((engine: Engine, call: CallOptions) => Promise<unknown>)[] = [
      (engine, call) =>
        engine.scoreContinuations([{ prompt_ids: prompt, continuation_ids: [5, 6] }], call),
      (engine, call) => engine.promptLogprobs([[...prompt, 5]], call),
      (engine, call) => engine.saveSnapshot({ prompt_ids: prompt }, call),
    ];
    for (const work of works) {
      const { engine } = toyEngine(SIZES);
      await work(engine, { cacheSalt: first });
      const results = [await ask(engine, second), await ask(engine, first)];
      cached.push(results.map(({ timings }) => timings.cached_n));
    }
    expect(cached).toEqual(works.map(() => [0, prompt.length - 1]));
  });

  test("is no copy for what is saved under the other", async () => {
    const { engine, runner } = toyEngine(SIZES);
    await ask(engine, first);
    const bytes = await engine.saveSnapshot({ prompt_ids: prompt }, { cacheSalt: second });
    expect(runner.copies).toEqual([]);
    // What is in a snapshot says nothing of whose it was.
    expect(bytes).toEqual(await toyEngine(SIZES).engine.saveSnapshot({ prompt_ids: prompt }));
  });

  test("is restored from storage by its own alone", async () => {
    const { engine } = toyEngine(SIZES);
    await ask(engine, first);
    const { prefixes } = engine;
    const ids = prompt;
    expect(prefixes.key([], first)).not.toBe(prefixes.key([], second));
    expect(prefixes.held({ ids, cacheSalt: first })).toBe(prompt.length);
    expect(prefixes.held({ ids, cacheSalt: second })).toBe(0);
    const pieces: Uint8Array[] = [];
    const write = (piece: Uint8Array): void => void pieces.push(piece.slice());
    expect(await prefixes.save({ ids, cacheSalt: second }, write)).toBe(0);
    expect(pieces).toEqual([]);
    expect(await prefixes.save({ ids, cacheSalt: first }, write)).toBe(prompt.length);

    const { engine: next } = toyEngine(SIZES);
    await next.prefixes.restore({ cacheSalt: first }, () => pieces);
    expect((await ask(next, second)).timings.cached_n).toBe(0);
    expect((await ask(next, first)).timings.cached_n).toBe(prompt.length - 1);
  });
});

test("a draft model reads again what it has read for another salt, in the same slot", async () => {
  const rowsOf = async (...salts: (string | undefined)[]): Promise<number> => {
    const draft = toyModel({ slots: 1, ctx: 256, maxRows: 16 });
    const toy = { slots: 1, ctx: 256, maxRows: 24, maxLogits: 16 };
    const { engine } = toyEngine(toy, { speculate: { draft } });
    for (const salt of salts) {
      const { ids } = await ask(engine, salt, { max_tokens: 40 });
      expect(ids).toEqual(toyGreedy(prompt, 40));
    }
    const { batches } = draft.runner as ToyRunner;
    return batches.reduce((sum, { ids }) => sum + ids.length, 0);
  };
  const once = await rowsOf("alice");
  expect(once).toBeGreaterThan(prompt.length);
  expect(await rowsOf("alice", "alice")).toBeLessThan(once + prompt.length);
  expect(await rowsOf("alice", "bob")).toBe(2 * once);
  expect(await rowsOf("alice", undefined)).toBe(2 * once);
});

test("a snapshot is everybody's; what is read beyond it is its reader's", async () => {
  const bytes = await toyEngine(SIZES).engine.saveSnapshot({ prompt_ids: prompt.slice(0, 40) });
  const { engine } = toyEngine(SIZES);
  await engine.loadSnapshot(bytes);
  for (const salt of ["alice", "bob", undefined]) {
    const { ids, timings } = await ask(engine, salt);
    expect([ids, timings.cached_n]).toEqual([toyGreedy(prompt, 4), 40]);
    expect((await ask(engine, salt)).timings.cached_n).toBe(prompt.length - 1);
  }
});

test("no salt looks like a mix of adapters, and no mix like a salt", async () => {
  const { engine } = toyEngine(SIZES);
  const { id, name } = await engine.loadAdapter("a", await randomLoraFolder("a", { seed: 1 }));
  const mixes = [{ adapters: [] }, { adapters: [{ name }] }];
  const salts = [undefined, " ", `${id}:1`, ` ${id}:1`, `${id}:1 `, `${id}:1 alice`, "alice"];
  const keys = mixes.flatMap(({ adapters }) =>
    salts.map((salt) => engine.prefixes.key(adapters, salt)),
  );
  expect(new Set(keys).size).toBe(keys.length);
  const runs = mixes.flatMap((mix) => salts.map((salt) => ({ mix, salt })));
  for (const { mix, salt } of runs) {
    const { engine: fresh } = toyEngine({ ...SIZES, slots: runs.length + 1 });
    await fresh.loadAdapter("a", await randomLoraFolder("a", { seed: 1 }));
    const expected = (await ask(fresh, salt, mix)).ids;
    for (const other of runs) {
      const isSame = other.mix === mix && other.salt === salt;
      const { timings } = await ask(fresh, other.salt, other.mix);
      expect([other, timings.cached_n > 0]).toEqual([other, isSame]);
    }
    expect((await ask(fresh, salt, mix)).ids).toEqual(expected);
  }
});

test("a context that is shifted keeps its start, as without a salt", async () => {
  const shifted = async (cacheSalt: string | undefined) => {
    const toy = toyEngine({ ctx: 32, maxRows: 8, slots: 1 }, { contextShift: true });
    const request = { prompt_ids: prompt.slice(0, 20), max_tokens: 40, n_keep: 10, ...greedy };
    const { ids } = await toy.engine.generate(request, { cacheSalt });
    expect(toy.engine.stats().context_shifts).toBeGreaterThan(0);
    return { ids, rows: toy.runner.batches.map((batch) => batch.ids.length) };
  };
  expect(await shifted("alice")).toEqual(await shifted(undefined));
});

test("a generation that paused or goes on from its tokens finds its own", async () => {
  const { engine } = toyEngine({ ...SIZES, slots: 1 });
  const request = { prompt_ids: prompt, max_tokens: 100, ...greedy };
  const call = { cacheSalt: "alice" };
  const parts = engine.stream(request, call)[Symbol.asyncIterator]();
  await parts.next();
  await settle(300);
  await ask(engine, "bob");
  const tokens: number[] = [];
  for (let part = await parts.next(); !part.done; part = await parts.next()) {
    tokens.push(part.value.token);
  }
  const expected = toyGreedy(prompt, 100);
  expect(tokens).toEqual(expected.slice(1));
  const resumed = { ...request, output_ids: expected.slice(0, 30) };
  const other = engine.stream(resumed, { cacheSalt: "bob" });
  expect((await collect(other)).map(({ token }) => token)).toEqual(expected);
  expect((await other.result).timings.cached_n).toBe(0);
});

test.each<[string, unknown]>([
  ["empty", ""],
  ["a number", 5],
  ["an object", {}],
  ["null", null],
])("a salt that is %s is refused, on every call", async (_, cacheSalt) => {
  const { engine } = toyEngine(SIZES);
  const call = { cacheSalt } as CallOptions;
  const refused = { code: "bad_request", param: "cacheSalt" };
  const texts = [[1, 2, 3]];
  await expect(engine.generate({ prompt_ids: prompt }, call)).rejects.toMatchObject(refused);
  await expect(engine.embed(texts, call)).rejects.toMatchObject(refused);
  await expect(engine.perplexity([1, 2, 3], call)).rejects.toMatchObject(refused);
  await expect(engine.promptLogprobs(texts, call)).rejects.toMatchObject(refused);
  const scored = [{ prompt_ids: [1], continuation_ids: [2] }];
  await expect(engine.scoreContinuations(scored, call)).rejects.toMatchObject(refused);
  await expect(engine.saveSnapshot({ prompt_ids: [1] }, call)).rejects.toMatchObject(refused);
  expect(engine.stats()).toMatchObject({ busy: 0, queued: 0 });
});
