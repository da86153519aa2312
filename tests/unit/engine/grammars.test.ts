/** Under a grammar as without one: what runs ahead, beside, or is read late changes nothing of an output. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createEngine, type EngineOptions } from "../../../src/engine/create-engine.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { loadModel } from "../../../src/engine/load-model.ts";
import type { LoadedModel } from "../../../src/engine/loaded-model.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import type { GenerateRequest } from "../../../src/generate/request.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";

const PATH = "tests/goldens/tokenizers/tok_bpe.gguf";
const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setImmediate(resolve)),
  now: () => performance.now(),
  wallClock: () => 0,
  randomSeed: () => 1,
};

const load = (slots: number): Promise<LoadedModel> => {
  const gguf = [memorySource(new Uint8Array(readFileSync(PATH)), PATH)];
  return loadModel({ gguf }, runtime, { slots, maxLogits: slots + 15 });
};

async function engineWith(options: EngineOptions, slots = 1): Promise<Engine> {
  return createEngine(await load(slots), runtime, { contextShift: true, ...options });
}

/** Long forced texts, lists that repeat, and choices in between. */
const SCHEMA = {
  type: "object",
  properties: {
    identification: { type: "string", maxLength: 12 },
    measurements: {
      type: "array",
      minItems: 3,
      maxItems: 6,
      items: {
        type: "object",
        properties: {
          temperature: { type: "integer", minimum: 0, maximum: 99 },
          description: { enum: ["comfortable", "uncomfortable"] },
        },
        required: ["temperature", "description"],
        additionalProperties: false,
      },
    },
  },
  required: ["identification", "measurements"],
  additionalProperties: false,
};

const requestOf = (engine: Engine, seed: number): GenerateRequest => ({
  prompt_ids: engine.tokenizer.encode(`Measurement ${seed}: `),
  grammar: { type: "json_schema", schema: SCHEMA },
  temperature: 1.5,
  seed,
  max_tokens: 400,
  repetition_penalty: 1.1,
  logit_bias: new Map([[engine.tokenizer.eosId ?? 0, 100]]),
});
const SEEDS = [1, 2, 3, 4, 5, 6];

interface Output {
  readonly ids: readonly number[];
  readonly text: string;
}

async function outputs(engine: Engine): Promise<Output[]> {
  const results: Output[] = [];
  for (const seed of SEEDS) {
    const { ids, text } = await engine.generate(requestOf(engine, seed));
    results.push({ ids, text });
  }
  return results;
}

const alone = outputs(await engineWith({ speculate: "off" }));

test("is complete, and forced tokens are spelled as the tokenizer does", async () => {
  const engine = await engineWith({ speculate: "off" });
  for (const { text } of await alone) {
    const value = JSON.parse(text);
    expect(value.measurements.length).toBeGreaterThanOrEqual(3);
    expect(text).toContain('"temperature":');
  }
  const [name] = engine.tokenizer.encode('"temperature', { addSpecialTokens: false });
  expect((await alone).some(({ ids }) => ids.includes(name))).toBe(true);
});

test("is the same with tokens run ahead", async () => {
  const engine = await engineWith({ speculate: "lookup" });
  expect(await outputs(engine)).toEqual(await alone);
});

test("is the same with a draft model, whose guesses know nothing of the grammar", async () => {
  const engine = await engineWith({ speculate: { draft: await load(4) } });
  expect(await outputs(engine)).toEqual(await alone);
  expect(engine.stats().draft_tokens).toBeGreaterThan(0);
  await engine.dispose();
});

test("of an adapter is of the grammar, and the same run ahead and in company", async () => {
  const openAdapter = (path: string) => randomLoraFolder(path, { hidden: 32, kvDim: 16 });
  const withAdapter = async (options: EngineOptions, slots = 1): Promise<Engine> => {
    const engine = await engineWith({ openAdapter, ...options }, slots);
    await engine.loadAdapter("pirate", "pirate");
    return engine;
  };
  const adapters = [{ name: "pirate", scale: 1 }];
  const ask = async (engine: Engine, seed: number): Promise<Output> => {
    const { ids, text } = await engine.generate({ ...requestOf(engine, seed), adapters });
    return { ids, text };
  };
  const one = await withAdapter({ speculate: "off" });
  const expected: Output[] = [];
  for (const seed of SEEDS) expected.push(await ask(one, seed));
  for (const { text } of expected) {
    expect(JSON.parse(text).measurements.length).toBeGreaterThanOrEqual(3);
  }
  expect(expected).not.toEqual(await alone);
  const ahead = await withAdapter({ speculate: { draft: await load(4) } }, 3);
  const together = SEEDS.map((seed) => ask(ahead, seed));
  const without = SEEDS.map((seed) => ahead.generate(requestOf(ahead, seed)));
  expect(await Promise.all(together)).toEqual(expected);
  const plain = (await Promise.all(without)).map(({ ids, text }) => ({ ids, text }));
  expect(plain).toEqual(await alone);
});

test("is the same in company", async () => {
  const engine = await engineWith({ speculate: "lookup" }, 3);
  const plain = { prompt_ids: engine.tokenizer.encode("Once"), max_tokens: 60, seed: 9 };
  const all = SEEDS.map(async (seed) => {
    const { ids, text } = await engine.generate(requestOf(engine, seed));
    return { ids, text };
  });
  await Promise.all([engine.generate(plain), engine.generate(plain)]);
  expect(await Promise.all(all)).toEqual(await alone);
});

test("is the same for a reader who pauses", async () => {
  const engine = await engineWith({ speculate: "off" });
  for (const [i, seed] of SEEDS.slice(0, 3).entries()) {
    const stream = engine.stream(requestOf(engine, seed));
    const ids: number[] = [];
    for await (const { token } of stream) {
      ids.push(token);
      // Long enough that it runs ahead as far as it may, and gives its slot away.
      if (ids.length % 40 === 1) {
        for (let k = 0; k < 200; k++) await runtime.yieldTask();
        await engine.generate({ prompt_ids: [5, 6, 7], max_tokens: 3, seed: 1 });
      }
    }
    expect(ids).toEqual((await alone)[i].ids);
  }
});

test("is of the grammar with every filter of the sampler", async () => {
  const engine = await engineWith({ speculate: "off" });
  const filters = [
    { typical_p: 0.2 },
    { top_k: 1 },
    { top_p: 0.01 },
    { min_p: 0.9 },
    { temperature: 0 },
    { presence_penalty: 2, frequency_penalty: 2, repetition_penalty: 5 },
  ];
  for (const filter of filters) {
    const { text, finish_reason } = await engine.generate({
      ...requestOf(engine, 3),
      ...filter,
    });
    expect([filter, finish_reason]).toEqual([filter, "stop"]);
    expect([filter, typeof JSON.parse(text).identification]).toEqual([filter, "string"]);
  }
});
