import { describe, expect, test } from "vitest";
import type { AdapterChoice, GenerateRequest } from "../../../src/generate/request.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { collect, settle, type TestEngine, toyEngine, toyModel } from "./toy-engine.ts";
import { type ToyRunner, toyGreedy, toyLogits, toySalt } from "./toy-runner.ts";

const a = await randomLoraFolder("a", { seed: 1 });
const b = await randomLoraFolder("b", { seed: 2 });
const withNorm = await randomLoraFolder("norm", { replaceNorm: true });
const alsoNorm = await randomLoraFolder("norm2", { replaceNorm: true });

const PROMPT = Array.from({ length: 20 }, (_, i) => (i * 7 + 3) % 64);

const greedy = (adapters?: readonly AdapterChoice[], prompt = PROMPT): GenerateRequest => ({
  prompt_ids: prompt,
  max_tokens: 12,
  temperature: 0,
  ignore_eos: true,
  ...(adapters && { adapters }),
});

async function withBoth(...made: Parameters<typeof toyEngine>): Promise<TestEngine<ToyRunner>> {
  const toy = toyEngine(...made);
  await toy.engine.loadAdapter("a", a);
  await toy.engine.loadAdapter("b", b);
  return toy;
}

const alone = toyGreedy(PROMPT, 12);
const byA = toyGreedy(PROMPT, 12, 64, [["a", 1]]);
const byBoth = toyGreedy(PROMPT, 12, 64, [
  ["a", 1],
  ["b", 0.5],
]);

test("the three mixes of these tests give three texts", () => {
  expect(new Set([alone, byA, byBoth].map(String)).size).toBe(3);
});

describe.each([
  ["at once", false],
  ["asynchronously", true],
])("with a runner that runs %s", (_, async) => {
  test("requests with different adapters share batches and give what they give alone", async () => {
    const { engine, runner } = await withBoth({ slots: 3, maxRows: 8, async });
    const all = await Promise.all([
      engine.generate(greedy()),
      engine.generate(greedy([{ name: "a" }])),
      engine.generate(greedy([{ name: "a" }, { name: "b", scale: 0.5 }])),
    ]);
    expect(all.map(({ ids }) => ids)).toEqual([alone, byA, byBoth]);
    const mixes = runner.batches.map(
      ({ spans }) => new Set(spans.map(({ adapters }) => JSON.stringify(adapters))).size,
    );
    expect(Math.max(...mixes)).toBe(3);
  });

  test("an adapter that is unloaded serves whoever began with it, then its memory is free", async () => {
    const { engine, runner } = await withBoth({ async });
    const generation = engine.generate(greedy([{ name: "a" }]));
    await settle(3);
    let isFree = false;
    const unloading = engine.unloadAdapter("a").then(() => {
      isFree = true;
    });
    expect(engine.adapters.map(({ name }) => name)).toEqual(["b"]);
    await expect(engine.generate(greedy([{ name: "a" }]))).rejects.toMatchObject({
      code: "not_found",
      message: 'adapters: "a" is not loaded; loaded: "b"',
    });
    expect(isFree).toBe(false);
    expect([...runner.adapters.values()]).toEqual(["a", "b"]);
    expect((await generation).ids).toEqual(byA);
    await unloading;
    expect([...runner.adapters.values()]).toEqual(["b"]);
  });

  test("a request that is cancelled while its batch runs frees its adapter after the batch", async () => {
    const { engine, runner } = await withBoth({ async });
    const abort = new AbortController();
    const generation = engine.generate(greedy([{ name: "a" }]), { signal: abort.signal });
    await settle(3);
    const unloading = engine.unloadAdapter("a");
    abort.abort();
    await expect(generation).rejects.toMatchObject({ code: "aborted" });
    await unloading;
    expect([...runner.adapters.values()]).toEqual(["b"]);
    expect((await engine.generate(greedy())).ids).toEqual(alone);
  });
});

test("a cache of other adapters, or of another scale, is never gone on from", async () => {
  const { engine } = await withBoth({ slots: 1 });
  const mixes: [readonly AdapterChoice[], readonly (readonly [string, number])[]][] = [
    [[], []],
    [[{ name: "a" }], [["a", 1]]],
    [[{ name: "a", scale: 0.5 }], [["a", 0.5]]],
    [[{ name: "b" }], [["b", 1]]],
    [[{ name: "b" }, { name: "a" }], [["a", 1], ["b", 1]]], // biome-ignore format: a table
    [[], []],
  ];
  for (const [adapters, salted] of mixes) {
    const result = await engine.generate(greedy(adapters));
    expect(result.ids).toEqual(toyGreedy(PROMPT, 12, 64, salted));
    expect(result.timings.cached_n).toBe(0);
    const again = await engine.generate(greedy([...adapters].reverse()));
    expect(again.ids).toEqual(result.ids);
    expect(again.timings.cached_n).toBe(PROMPT.length - 1);
  }
});

test("of two caches that begin like the prompt, that of its own adapters is taken", async () => {
  const { engine } = await withBoth({ slots: 2 });
  await engine.generate(greedy([]));
  await engine.generate(greedy([{ name: "a" }]));
  for (const adapters of [[], [{ name: "a" }], []]) {
    expect((await engine.generate(greedy(adapters))).timings.cached_n).toBe(PROMPT.length - 1);
  }
});

test("an adapter at 0 takes no part: the model's own cache serves", async () => {
  const { engine } = await withBoth({ slots: 1 });
  await engine.generate(greedy());
  const result = await engine.generate(greedy([{ name: "a", scale: 0 }]));
  expect(result.ids).toEqual(alone);
  expect(result.timings.cached_n).toBe(PROMPT.length - 1);
});

test("an adapter of the same name as one before finds nothing of it in caches", async () => {
  const { engine } = await withBoth({ slots: 1 });
  await engine.generate(greedy([{ name: "a" }]));
  await engine.unloadAdapter("a");
  await engine.loadAdapter("a", b);
  const result = await engine.generate(greedy([{ name: "a" }]));
  expect(result.timings.cached_n).toBe(0);
  expect(result.ids).toEqual(toyGreedy(PROMPT, 12, 64, [["b", 1]]));
});

test("requests that name none get the default, which is the model alone until it is set", async () => {
  const { engine } = await withBoth();
  expect((await engine.generate(greedy())).ids).toEqual(alone);
  engine.setAdapters([{ name: "a" }, { name: "b", scale: 0.5 }]);
  expect(engine.adapters).toEqual([
    { id: 0, name: "a", path: "a", scale: 1, default_scale: 1, fingerprint: expect.any(String) },
    { id: 1, name: "b", path: "b", scale: 1, default_scale: 0.5, fingerprint: expect.any(String) },
  ]);
  expect((await engine.generate(greedy())).ids).toEqual(byBoth);
  expect((await engine.generate(greedy([]))).ids).toEqual(alone);
  expect((await engine.generate(greedy([{ name: "a" }]))).ids).toEqual(byA);
  engine.setAdapters([{ name: "a" }]);
  expect((await engine.generate(greedy())).ids).toEqual(byA);
  await engine.unloadAdapter("a");
  expect((await engine.generate(greedy())).ids).toEqual(alone);
});

test("a request goes on with the adapters that it began with, whatever the default becomes", async () => {
  const { engine } = await withBoth();
  engine.setAdapters([{ name: "a" }]);
  const generation = engine.generate(greedy());
  await settle(3);
  engine.setAdapters([]);
  expect((await generation).ids).toEqual(byA);
});

test("an adapter is applied at the scale that it was loaded with, unless a request says another", async () => {
  const { engine } = toyEngine();
  await engine.loadAdapter("a", a, { scale: 0.25 });
  const at = (scale: number): number[] => toyGreedy(PROMPT, 12, 64, [["a", scale]]);
  expect((await engine.generate(greedy([{ name: "a" }]))).ids).toEqual(at(0.25));
  expect((await engine.generate(greedy([{ name: "a", scale: 2 }]))).ids).toEqual(at(2));
});

test("a paused generation keeps its adapter, and goes on with it", async () => {
  const { engine, runner } = await withBoth({ slots: 1, ctx: 256 });
  const request = { ...greedy([{ name: "a" }]), max_tokens: 200 };
  const generation = engine.stream(request);
  const parts = generation[Symbol.asyncIterator]();
  await parts.next();
  await settle(400);
  const unloading = engine.unloadAdapter("a");
  // Another takes the slot while it is paused.
  await engine.generate(greedy());
  expect([...runner.adapters.values()]).toContain("a");
  const rest = await collect(generation);
  expect(rest).toHaveLength(199);
  expect((await generation.result).ids).toEqual(toyGreedy(PROMPT, 200, 64, [["a", 1]]));
  await unloading;
  expect([...runner.adapters.values()]).toEqual(["b"]);
});

describe("with speculation", () => {
  // Texts that repeat themselves, so that much is proposed and accepted.
  const toy = { slots: 2, maxRows: 32, maxLogits: 17, memory: 1, ctx: 256 };
  const long = (adapters: readonly AdapterChoice[]): GenerateRequest => ({
    ...greedy(adapters),
    max_tokens: 150,
  });

  test("the text with an adapter is the same with and without lookups", async () => {
    const plain = await withBoth(toy, { speculate: "off" });
    const fast = await withBoth(toy, { speculate: "lookup" });
    for (const adapters of [[], [{ name: "a" }], [{ name: "a" }, { name: "b", scale: 0.5 }]]) {
      const { ids } = await plain.engine.generate(long(adapters));
      expect((await fast.engine.generate(long(adapters))).ids).toEqual(ids);
    }
    expect(fast.engine.stats().accepted_draft_tokens).toBeGreaterThan(20);
  });

  test("a draft model without the adapter proposes, and the text is the adapter's", async () => {
    const plain = await withBoth(toy, { speculate: "off" });
    const draft = toyModel({ ...toy, weights: 0x12345678 });
    const fast = await withBoth(toy, { speculate: { draft } });
    for (const adapters of [[{ name: "a" }], []]) {
      const { ids } = await plain.engine.generate(long(adapters));
      expect((await fast.engine.generate(long(adapters))).ids).toEqual(ids);
    }
    expect(fast.engine.stats().draft_tokens).toBeGreaterThan(0);
  });
});

test("a context shift reads what is left again by the same adapters", async () => {
  const { engine, runner } = await withBoth({ slots: 1, ctx: 32 }, { contextShift: true });
  const request = { ...greedy([{ name: "a" }], PROMPT.slice(0, 10)), max_tokens: 60 };
  await engine.generate(request);
  expect(engine.stats().context_shifts).toBeGreaterThan(1);
  for (const { spans } of runner.batches) {
    expect(spans.map(({ adapters }) => adapters)).toEqual([[{ handle: 1, scale: 1 }]]);
  }
});

test("continuations are scored by the adapters that are asked for", async () => {
  const { engine } = await withBoth();
  const row = { prompt_ids: [5, 6, 7], continuation_ids: [8] };
  const expected = (salt: number): number => {
    const logits = toyLogits([5, 6, 7].map((id) => id + salt), 64); // biome-ignore format: short
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    return logits[8] - Math.log(sum);
  };
  const of = async (adapters?: readonly AdapterChoice[]): Promise<number> =>
    (await engine.scoreContinuations([row], { adapters }))[0].logprob;
  expect(await of()).toBeCloseTo(expected(0), 5);
  expect(await of([{ name: "a" }])).toBeCloseTo(expected(toySalt([["a", 1]])), 5);
  engine.setAdapters([{ name: "a" }]);
  expect(await of()).toBeCloseTo(expected(toySalt([["a", 1]])), 5);
  expect(await of([])).toBeCloseTo(expected(0), 5);
  await expect(of([{ name: "c" }])).rejects.toMatchObject({ code: "not_found" });
});

test("scoring holds its adapter until it is done", async () => {
  const { engine, runner } = await withBoth({ slots: 1 });
  const row = { prompt_ids: PROMPT, continuation_ids: PROMPT };
  const scoring = engine.scoreContinuations([row], { adapters: [{ name: "a" }] });
  const unloading = engine.unloadAdapter("a");
  await settle(2);
  expect([...runner.adapters.values()]).toContain("a");
  await scoring;
  await unloading;
  expect([...runner.adapters.values()]).toEqual(["b"]);
});

test.each<[string, readonly unknown[], string]>([
  ["a name that is not loaded", [{ name: "c" }], '"c" is not loaded; loaded: "a", "b"'],
  ["no name", [{}], '"undefined" is not loaded'],
  ["a name twice", [{ name: "a" }, { name: "a" }], '"a" is named twice'],
  ["a scale that is no number", [{ name: "a", scale: Number.NaN }], "scale NaN is not a number"],
  ["a scale that drowns the model", [{ name: "a", scale: 101 }], "scale 101 is not a number from"],
])("a request with %s is refused", async (_, adapters, message) => {
  const { engine } = await withBoth();
  const choices = adapters as readonly AdapterChoice[];
  await expect(engine.generate(greedy(choices))).rejects.toMatchObject({
    message: expect.stringContaining(message),
    param: "adapters",
  });
  expect(() => engine.setAdapters(choices)).toThrow(message);
  expect((await engine.generate(greedy())).ids).toEqual(alone);
});

test("two adapters that replace the same tensor are refused together, not alone", async () => {
  const { engine } = toyEngine();
  await engine.loadAdapter("one", withNorm);
  await engine.loadAdapter("two", alsoNorm);
  await engine.generate(greedy([{ name: "one" }]));
  const both = [{ name: "one" }, { name: "two" }];
  const message = '"one" and "two" both replace model.norm.weight';
  await expect(engine.generate(greedy(both))).rejects.toMatchObject({
    code: "bad_request",
    message: `adapters: ${message}`,
  });
  expect(() => engine.setAdapters(both)).toThrow(message);
  expect(engine.adapters.map((one) => one.default_scale)).toEqual([0, 0]);
});

describe("loading", () => {
  test.each([
    ["a", '"a" is loaded already'],
    ["", '"" is no name'],
    ["a b", '"a b" is no name'],
    ["toy", '"toy" is the model\'s name'],
  ])("as %j is refused", async (name, message) => {
    const { engine } = toyEngine();
    await engine.loadAdapter("a", a);
    await expect(engine.loadAdapter(name, b)).rejects.toMatchObject({
      code: "bad_request",
      message: expect.stringContaining(message),
      param: "name",
    });
  });

  test("twice at a time under one name is refused; the first goes on", async () => {
    const { engine } = toyEngine();
    const first = engine.loadAdapter("a", a);
    await expect(engine.loadAdapter("a", b, { replace: true })).rejects.toThrow(
      '"a" is being loaded already',
    );
    expect(await first).toMatchObject({ id: 0, name: "a", path: "a", default_scale: 0 });
  });

  test("in the place of another takes its name and default, and the other ends its requests", async () => {
    const { engine, runner } = await withBoth({ slots: 2, maxRows: 8 });
    engine.setAdapters([{ name: "a" }]);
    const before = engine.generate(greedy());
    await settle(3);
    const { id } = await engine.loadAdapter("a", b, { replace: true });
    expect(id).toBe(2);
    const after = engine.generate(greedy());
    expect((await before).ids).toEqual(byA);
    expect((await after).ids).toEqual(toyGreedy(PROMPT, 12, 64, [["b", 1]]));
    await settle(3);
    expect([...runner.adapters]).toEqual([
      [2, "b"],
      [3, "b"],
    ]);
  });

  test("that is aborted in its midst changes nothing", async () => {
    const { engine, runner } = toyEngine();
    for (const at of ["open", "load", "end"]) {
      const abort = new AbortController();
      const { signal } = abort;
      const folder = {
        ...a,
        open: (name: string) => {
          if (at === "open") abort.abort();
          return a.open(name);
        },
      };
      runner.loading = () => {
        if (at === "load") abort.abort();
        if (at === "end") void Promise.resolve().then(() => abort.abort());
      };
      const loading = engine.loadAdapter("a", folder, { signal });
      await expect(loading, at).rejects.toMatchObject({ code: "aborted" });
      expect(engine.adapters).toEqual([]);
      expect(runner.adapters.size).toBe(0);
    }
    runner.loading = undefined;
    await engine.loadAdapter("a", a);
    expect((await engine.generate(greedy([{ name: "a" }]))).ids).toEqual(byA);
  });

  test("of a damaged file is refused by its name with nothing changed", async () => {
    const { engine, runner } = await withBoth();
    const cut = await randomLoraFolder("cut");
    const bytes = cut.files.get("adapter_model.safetensors")!;
    cut.files.set("adapter_model.safetensors", bytes.subarray(0, bytes.length / 2));
    await expect(engine.loadAdapter("cut", cut)).rejects.toMatchObject({
      code: "bad_format",
      message: expect.stringContaining("adapter_model.safetensors"),
    });
    expect(engine.adapters.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(runner.adapters.size).toBe(2);
    expect((await engine.generate(greedy([{ name: "a" }]))).ids).toEqual(byA);
  });

  test("by a text needs an entry that knows what it names", async () => {
    const bare = toyEngine();
    await expect(bare.engine.loadAdapter("a", "./a")).rejects.toMatchObject({ code: "not_found" });
    const asked: string[] = [];
    const { engine } = toyEngine(
      {},
      {
        openAdapter: async (name) => {
          asked.push(name);
          return a;
        },
      },
    );
    await engine.loadAdapter("a", "./somewhere");
    expect(asked).toEqual(["./somewhere"]);
  });

  test("goes on beside generations", async () => {
    const { engine, runner } = toyEngine({ async: true });
    const generation = engine.generate(greedy());
    let release = (): void => {};
    runner.loading = () =>
      new Promise<void>((resolve) => {
        release = resolve;
      });
    const loading = engine.loadAdapter("a", a);
    expect((await generation).ids).toEqual(alone);
    release();
    await loading;
    expect((await engine.generate(greedy([{ name: "a" }]))).ids).toEqual(byA);
  });
});

test("an engine that is disposed ends what is being loaded and unloaded", async () => {
  const { engine, runner } = await withBoth({ async: true });
  const generation = engine.generate(greedy([{ name: "a" }]));
  await settle(3);
  const unloading = engine.unloadAdapter("a");
  const loading = engine.loadAdapter("c", await randomLoraFolder("c"));
  const all = Promise.allSettled([generation, unloading, loading]);
  await engine.dispose();
  for (const one of await all) {
    expect(one).toMatchObject({ status: "rejected", reason: { code: "engine_failed" } });
  }
  expect(runner.disposed).toBe(1);
});
