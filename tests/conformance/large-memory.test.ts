/**
 * Addresses above 2^31, up to the last byte of wasm32: the same model gives the same bits wherever in
 * the memory it lies. Only what the model uses is ever touched, so 4 GiB cost a few megabytes.
 */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { KvType, MemoryUse, Runner } from "../../src/backends/backend.ts";
import type { RunnerOptions } from "../../src/backends/runner-options.ts";
import { createWasmRunner } from "../../src/backends/wasm/wasm-runner.ts";
import { openGguf } from "../../src/engine/open-gguf.ts";
import { planLlama } from "../../src/model/plan.ts";
import type { Quantization } from "../../src/pack/form-choice.ts";
import { planImage } from "../../src/pack/image-plan.ts";
import { packTensors } from "../../src/pack/packer.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { readGolden } from "../support/tiny-gguf.ts";
import { kernelOf } from "./backends.ts";

const SIGN_BIT = 2 ** 31;
const END = 2 ** 32;

/** Regions start on cache lines: so does what is moved. */
const LINE = 64;

const VOCAB = 192;
const SLOT = 1;
const prompt = Array.from({ length: 70 }, (_, i) => (i * 7919 + 13) % VOCAB);

/** Where the model starts in memory, given what it takes when it starts at 0. */
const PLACES: [string, (use: MemoryUse) => number][] = [
  ["with 2^31 in the weights", ({ weights }) => SIGN_BIT - weights / 2],
  ["with 2^31 in the KV cache", ({ weights, kv }) => SIGN_BIT - weights - kv / 2],
  [
    "with 2^31 in the activations",
    ({ weights, kv, activations }) => SIGN_BIT - weights - kv - activations / 2,
  ],
  ["with 2^31 in the scratch", ({ total, scratch }) => SIGN_BIT - total + scratch / 2],
  ["above 2^31", () => SIGN_BIT],
  ["up to the last byte of 4 GiB", ({ total }) => END - total],
];

const MODELS: [string, Quantization, KvType][] = [
  ["MIX_Q4_1_Q8_0.gguf", "auto", "int16"],
  ["Q4_0.gguf", "auto", "int8"],
  ["Q5_0.gguf", "auto", "bf16"],
  ["Q4_1.gguf", "none", "f32"],
  ["BF16.gguf", "none", "bf16"],
];

/** A hash over logits of prompt chunks and of steps, and the places of the largest. */
async function hashOf(runner: Runner): Promise<string> {
  const hash = createHash("sha256");
  const run = async (ids: number[], start: number): Promise<void> => {
    await runner.forward({
      ids,
      spans: [{ slot: SLOT, start, count: ids.length }],
      logitsRows: ids.map((_, row) => row),
    });
    for (const row of ids.keys()) {
      const logits = runner.logits(row);
      hash.update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
      hash.update(`${runner.argmax(row)}`);
    }
  };
  await run(prompt.slice(0, 64), 0);
  await run(prompt.slice(64, 67), 64);
  for (let i = 67; i < prompt.length; i++) await run([prompt[i]], i);
  // Some rows only: they are gathered.
  await runner.forward({
    ids: prompt.slice(0, 8),
    spans: [{ slot: 0, start: 0, count: 8 }],
    logitsRows: [3, 7],
  });
  return hash.update(runner.logits(0)).update(runner.logits(1)).digest("hex");
}

describe.each(MODELS)("%s, %s, %s", (file, quantization, kv) => {
  test.each(PLACES)("gives the same bits %s", { timeout: 60_000 }, async (_, placeFor) => {
    const { config, entries } = await openGguf([readGolden(file)], {
      quantization,
      profile: "default",
    });
    const image = planImage(entries);
    const plan = planLlama(config);
    const options: RunnerOptions = { ctx: 128, slots: 2, maxRows: 64, maxLogits: 64, kv };

    for (const build of BUILDS) {
      /** As if the image began with `shift` bytes of something else. */
      const runnerAt = async (shift: number): Promise<Runner> => {
        const tensors = image.tensors.map((t) => ({ ...t, offset: t.offset + shift }));
        const bytes = image.weightBytes + shift;
        const runner = createWasmRunner(plan, tensors, bytes, kernelOf(build), options);
        await packTensors(entries, (at, part) => runner.weights.set(part, shift + at));
        return runner;
      };
      const low = await runnerAt(0);
      const shift = Math.floor(placeFor(low.memory) / LINE) * LINE;
      const high = await runnerAt(shift);
      expect(high.memory.total).toBe(low.memory.total + shift);
      expect(await hashOf(high)).toBe(await hashOf(low));
    }
  });
});
