/**
 * Adapters through the engine on the real backends: texts against PEFT's, several adapters side by side, caches and
 * tokens that are run ahead, over float and quantized bases.
 */
import { describe, expect, test } from "vitest";
import type { KvType } from "../../src/backends/backend.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import type { AdapterChoice, GenerateRequest } from "../../src/generate/request.ts";
import { planLlama } from "../../src/model/plan.ts";
import type { Quantization } from "../../src/pack/form-choice.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { type CreateRunner, reference, wasm } from "../conformance/backends.ts";
import { openGoldenModel } from "../support/golden-model.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { LORA_BASE, loraCases, loraPath } from "../support/lora.ts";
import { engineOver } from "../unit/engine/toy-engine.ts";
import { toyTokenizer } from "../unit/engine/toy-tokenizer.ts";

const ADAPTERS = ["qv_r8", "all_r8", "head_r4"];
const VOCAB = 512;
const tokenizer = toyTokenizer(
  Array.from({ length: VOCAB }, (_, id) => `${id},`),
  [],
);

interface Sizes {
  readonly slots: number;
  readonly quantization: Quantization;
  readonly kv: KvType;
}

const FLOATS = { quantization: "none", kv: "f32" } as const;

async function open(create: CreateRunner, { slots, quantization, kv }: Sizes): Promise<Engine> {
  const options = { quantization, profile: "default" } as const;
  const { config, entries } = await openCheckpoint(await openGoldenModel(LORA_BASE), options);
  const sizes = { ctx: 128, slots, maxRows: 24, maxLogits: 20, kv };
  const runner = await create(planLlama(config), entries, sizes);
  const { engine } = engineOver(runner, { tokenizer });
  for (const name of ADAPTERS) {
    await engine.loadAdapter(name, directoryFolder(nodeHost, loraPath(name)));
  }
  return engine;
}

const BACKENDS: readonly (readonly [string, CreateRunner])[] = [
  ["reference", reference],
  ...BUILDS.map((build) => [`wasm ${build}`, wasm(build)] as const),
];

const greedyCases = loraCases().flatMap(({ name, outputs }) => {
  const { greedy, greedy_prompt_len } = outputs as {
    greedy?: number[];
    greedy_prompt_len?: number;
  };
  if (!greedy || greedy_prompt_len === undefined) return [];
  const prompt_ids = greedy.slice(0, greedy_prompt_len);
  return [{ name, prompt_ids, expected: greedy.slice(greedy_prompt_len) }];
});

const prompt = (length: number, salt: number): number[] =>
  Array.from({ length }, (_, i) => (i * 7919 + salt * 101 + 13) % VOCAB);

const ofAll = (request: GenerateRequest): GenerateRequest[] => [
  { ...request, adapters: [] },
  ...ADAPTERS.map((name) => ({ ...request, adapters: [{ name }] })),
  { ...request, adapters: [{ name: "qv_r8" }, { name: "all_r8", scale: -0.5 }] },
];

/** Of every mix: greedy and drawn, a short prompt and one of several batches, with log-probabilities. */
const requests: GenerateRequest[] = [
  ...ofAll({ prompt_ids: prompt(40, 0), max_tokens: 10, temperature: 0, top_logprobs: 2 }),
  ...ofAll({ prompt_ids: prompt(3, 1), max_tokens: 12, temperature: 1.2, seed: 1 }),
];

async function run(engine: Engine, request: GenerateRequest) {
  const { ids, text, logprobs } = await engine.generate(request);
  return { ids, text, logprobs };
}

test("PEFT's texts are of three adapters", () => {
  expect(greedyCases.map(({ name }) => name)).toEqual(ADAPTERS);
});

describe.each(BACKENDS)("%s", (_, create) => {
  test("adapters give PEFT's texts, side by side with each other and the model alone", async () => {
    const engine = await open(create, { slots: 4, ...FLOATS });
    const all = greedyCases.map(({ name, prompt_ids, expected }) =>
      engine.generate({
        ...{ prompt_ids, max_tokens: expected.length, temperature: 0 },
        adapters: [{ name }],
      }),
    );
    const alone = engine.generate({ ...requests[0], adapters: [] });
    expect((await Promise.all(all)).map(({ ids }) => ids)).toEqual(
      greedyCases.map(({ expected }) => expected),
    );
    await alone;
    await engine.dispose();
  });

  test.each<[string, Omit<Sizes, "slots">]>([
    ["float", FLOATS],
    ["8-bit", { quantization: "q8", kv: "int16" }],
    ["4-bit", { quantization: "q4", kv: "int8" }],
  ])("over %s weights a request gives the same bits alone and in any company", async (_, form) => {
    const solo = [];
    for (const request of requests) {
      const engine = await open(create, { slots: 1, ...form });
      solo.push(await run(engine, request));
      await engine.dispose();
    }
    expect(new Set(solo.map(({ ids }) => String(ids))).size).toBe(solo.length);
    const engine = await open(create, { slots: 4, ...form });
    expect(await Promise.all(requests.map((request) => run(engine, request)))).toEqual(solo);
    // Again, where slots hold caches of the same and of other mixes.
    expect(await Promise.all(requests.map((request) => run(engine, request)))).toEqual(solo);
    for (const name of ADAPTERS) await engine.unloadAdapter(name);
    expect(await run(engine, requests[0])).toEqual(solo[0]);
    await engine.dispose();
  });

  test("an adapter's fingerprint is that of its content and scaling, in every form of the base", async () => {
    const prints = new Map<string, Set<string>>(ADAPTERS.map((name) => [name, new Set()]));
    for (const form of [FLOATS, { quantization: "q4", kv: "int8" } as const]) {
      const engine = await open(create, { slots: 1, ...form });
      for (const { name, fingerprint } of engine.adapters) prints.get(name)?.add(fingerprint);
      await engine.dispose();
    }
    const all = [...prints.values()].flatMap((found) => [...found]);
    expect(all).toHaveLength(ADAPTERS.length);
    expect(new Set(all).size).toBe(ADAPTERS.length);
    for (const print of all) expect(print).toMatch(/^[0-9a-f]{16}$/);
  });

  test("tokens that are predicted and run ahead change nothing of a text with adapters", async () => {
    const engine = await open(create, { slots: 1, quantization: "auto", kv: "int16" });
    const adapters: AdapterChoice[] = [{ name: "all_r8" }];
    const request = { prompt_ids: prompt(12, 2), max_tokens: 24, temperature: 0, adapters };
    const { ids } = await engine.generate(request);
    for (const prediction_ids of [ids, [...ids.slice(0, 9), 1, 2, 3]]) {
      const predicted = await engine.generate({ ...request, prediction_ids });
      expect(predicted.ids).toEqual(ids);
    }
    expect(engine.stats().accepted_draft_tokens).toBeGreaterThan(8);
    await engine.dispose();
  });
});
