import { expect, test } from "vitest";
import type { CallOptions, Engine } from "../../../src/engine/engine.ts";
import { meteredEngine } from "../../../src/server/metered-engine.ts";
import { RequestRecord } from "../../../src/server/request-record.ts";
import { createToy } from "./toy-engine.ts";

interface Seen {
  readonly engine: Engine;
  readonly record: RequestRecord;
  spent(): number;
}

function meter(
  models?: readonly string[],
  engine: Engine = createToy().engine,
  cacheOwner?: string,
): Seen {
  const record = new RequestRecord("req_1", 0, 0);
  record.caller = { name: "app", models, quota: {} };
  let spent = 0;
  const metered = meteredEngine(engine, {
    record,
    waitMs: 10_000,
    cacheOwner,
    now: () => 7,
    spend: (tokens) => {
      spent += tokens;
    },
    onGeneration: () => {},
  });
  return { engine: metered, record, spent: () => spent };
}

/** Methods that run the model: a new one has to be counted and asked for. */
const RUNS = [
  ...["stream", "generate", "scoreContinuations", "promptLogprobs", "perplexity", "embed"],
  "classify",
  "saveSnapshot",
];
/** Methods that change what others get. */
const MANAGES = ["loadAdapter", "unloadAdapter", "setAdapters", "loadSnapshot", "unloadSnapshot"];
/** Methods that ask on behalf of a caller, who has to be named. */
const ASKS = ["checkRoom"];
const HARMLESS = ["checkGrammar", "stats", "dispose"];

test("every method of the engine is either counted, closed to keys with models, or harmless", () => {
  const { engine } = createToy();
  const methods = Object.entries(Object.getOwnPropertyDescriptors(engine))
    .filter(([, { value }]) => typeof value === "function")
    .map(([name]) => name);
  const decided = [...RUNS, ...MANAGES, ...ASKS, ...HARMLESS, "template"].sort();
  expect(methods.filter((name) => !decided.includes(name))).toEqual([]);
  const own = Object.keys(meter().engine);
  expect(own.sort()).toEqual([...RUNS, ...MANAGES, ...ASKS].sort());
});

const CALLS: Readonly<Record<string, (engine: Engine) => Promise<unknown>>> = {
  stream: async (engine) => {
    let text = "";
    for await (const part of engine.stream({ prompt_ids: [1, 2, 3], max_tokens: 2 }))
      text += part.text;
    return text;
  },
  generate: (engine) => engine.generate({ prompt_ids: [1, 2, 3], max_tokens: 2 }),
  scoreContinuations: (engine) =>
    engine.scoreContinuations([{ prompt_ids: [1, 2, 3], continuation_ids: [4, 5] }]),
  perplexity: (engine) => engine.perplexity([1, 2, 3, 4, 5]),
  promptLogprobs: (engine) =>
    engine.promptLogprobs([
      [1, 2, 3],
      [4, 5],
    ]),
};

test.each(Object.entries(CALLS))("%s counts five tokens for the key", async (_, call) => {
  const seen = meter();
  await call(seen.engine);
  expect(seen.spent()).toBe(5);
  expect(seen.record.promptTokens + seen.record.generatedTokens).toBe(5);
});

test.each(Object.entries(CALLS))("%s is refused to keys of other models", async (_, call) => {
  const seen = meter(["other"]);
  await expect((async () => call(seen.engine))()).rejects.toMatchObject({
    reply: "permission_denied",
  });
  expect(seen.spent()).toBe(0);
});

test.each(MANAGES)("%s is refused to keys with models", (name) => {
  const { engine } = meter(["toy/llama"]);
  const call = (engine as unknown as Record<string, (arg: unknown) => unknown>)[name]!;
  expect(() => call([])).toThrow("may not load");
});

test.each(RUNS)(
  "%s shares the prefixes of its key alone, divided by what it says itself",
  async (name) => {
    const salts: unknown[] = [];
    const engine = createToy().engine;
    const asked = (_: unknown, options?: CallOptions): never => {
      salts.push(options?.cacheSalt);
      throw new Error("asked");
    };
    // A generation is a stream's.
    const own = { [name === "generate" ? "stream" : name]: { value: asked } };
    const ask = async (owner: string | undefined, cacheSalt?: string): Promise<void> => {
      const metered = meter(undefined, Object.create(engine, own), owner).engine;
      const call = metered[name as "generate"];
      await expect((async () => call({ prompt_ids: [1] }, { cacheSalt }))()).rejects.toThrow(
        "asked",
      );
    };
    await ask(undefined);
    await ask(undefined, "s");
    await ask("digest");
    await ask("digest", "s");
    expect(salts).toEqual([undefined, ":s", "digest:", "digest:s"]);
  },
);

test("an adapter is asked for by its name, what the server adds by the model's", async () => {
  const { engine } = createToy();
  const adapter = { id: 0, name: "sql", path: "", scale: 1, fingerprint: "" };
  const withAdapter = (default_scale: number): Engine =>
    Object.create(engine, {
      adapters: { value: [{ ...adapter, default_scale }] },
      stream: {
        value: (): never => {
          throw new Error("asked");
        },
      },
    });
  const ask = (models: readonly string[], scale: number, usual: number): void => {
    meter(models, withAdapter(usual)).engine.stream({
      prompt_ids: [1],
      adapters: [{ name: "sql", scale }],
    });
  };
  expect(() => ask(["toy/llama"], 1, 0)).toThrow("may not use sql");
  expect(() => ask(["sql"], 1, 0)).toThrow("asked");
  expect(() => ask(["toy/llama"], 0, 0)).toThrow("asked");
  expect(() => ask(["sql"], 0, 0)).toThrow("may not use toy/llama");
  expect(() => ask(["toy/llama"], 1, 1)).toThrow("asked");
  expect(() => ask(["toy/llama"], 0.5, 1)).toThrow("may not use sql");
});
