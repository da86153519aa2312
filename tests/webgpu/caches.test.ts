/** What an engine makes of the caches of a model on a GPU: prefixes, copies, snapshots, tokens run ahead on a guess. */
import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { createEngine, type EngineOptions } from "../../src/engine/create-engine.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { type LoadOptions, loadModel } from "../../src/engine/load-model.ts";
import type { Runtime } from "../../src/engine/runtime.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { openDawn } from "./dawn.ts";

const MODEL = "tests/goldens/tokenizers/tok_bpe.gguf";
const input = { gguf: [memorySource(new Uint8Array(readFileSync(MODEL)), MODEL)] };

const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setImmediate(resolve)),
  now: () => performance.now(),
  wallClock: () => Date.now(),
  randomSeed: () => 1,
  gpu: { open: openDawn, backend: () => import("../../src/engine/gpu-backend.ts") },
};

const opened: Engine[] = [];
afterAll(async () => {
  for (const engine of opened) await engine.dispose();
});

async function open(options: LoadOptions = {}, own: EngineOptions = {}): Promise<Engine> {
  const model = await loadModel(input, runtime, {
    backend: "webgpu",
    slots: 2,
    ctx: 128,
    kv: "f32",
    ...options,
  });
  const engine = createEngine(model, runtime, own);
  opened.push(engine);
  return engine;
}

const greedy = { temperature: 0, ignore_eos: true, max_tokens: 12 } as const;
const system = Array.from({ length: 45 }, (_, i) => 3 + ((i * 37) % 500));
const first = [...system, 7, 8, 9];

const oracle = await open({ backend: "reference" });
const expected = async (prompt_ids: number[]): Promise<readonly number[]> =>
  (await oracle.generate({ prompt_ids, ...greedy })).ids;

test("a second turn runs only what is new of it, to the same tokens", async () => {
  const engine = await open();
  const { ids } = await engine.generate({ prompt_ids: first, ...greedy });
  expect(ids).toEqual(await expected(first));
  const second = [...first, ...ids, 20, 21];
  const answer = await engine.generate({ prompt_ids: second, ...greedy });
  expect(answer.ids).toEqual(await expected(second));
  // The last token of an answer was never run.
  expect(answer.timings.cached_n).toBe(first.length + ids.length - 1);
});

test("the fingerprint tells what prompts are multiplied as", async () => {
  const engines = [await open(), await open({ gpuNumbers: "f16" }), await open()];
  const [exact, rounded, again] = engines.map(({ info }) => info.fingerprint);
  expect(rounded).not.toBe(exact);
  expect(again).toBe(exact);
});

test("what two prompts share is copied to the other's slot while the first goes on", async () => {
  const engine = await open();
  const prompts = [first, [...system, 90, 91]];
  const answers = await Promise.all(
    prompts.map((prompt_ids) => engine.generate({ prompt_ids, ...greedy })),
  );
  for (const [i, { ids }] of answers.entries()) expect(ids).toEqual(await expected(prompts[i]!));
  expect(answers[1]!.timings.cached_n).toBe(system.length);
});

test("a snapshot goes on in another engine; one of another backend is read again from its tokens", async () => {
  const engine = await open();
  const bytes = await engine.saveSnapshot({ prompt_ids: system });
  const ofWasm = await (await open({ backend: "wasm" })).saveSnapshot({ prompt_ids: system });

  const other = await open();
  await other.loadSnapshot(bytes);
  const answer = await other.generate({ prompt_ids: first, ...greedy });
  expect(answer.timings.cached_n).toBe(system.length);
  expect(answer.ids).toEqual(await expected(first));

  const third = await open();
  expect(await third.loadSnapshot(ofWasm)).toMatchObject({ tokens: system.length });
  const read = await third.generate({ prompt_ids: first, ...greedy });
  expect(read.timings.cached_n).toBe(system.length);
  expect(read.ids).toEqual(await expected(first));
  expect(await third.saveSnapshot({ prompt_ids: system })).not.toEqual(ofWasm);
});

test("guessed tokens that are run ahead change none", async () => {
  // Of a few tokens a text soon says again what it said.
  const logit_bias = new Map([5, 11, 250].map((id) => [id, 100]));
  const request = { prompt_ids: first, ...greedy, max_tokens: 40, logit_bias };
  const guessing = await open({ speculate: "lookup" }, { speculate: "lookup" });
  const { ids } = await guessing.generate(request);
  const plain = await open({}, { speculate: "off" });
  expect(ids).toEqual((await plain.generate(request)).ids);
  expect(ids).toEqual((await oracle.generate(request)).ids);
  expect(guessing.stats().draft_tokens).toBeGreaterThan(0);
});
