/** What is said of a model's memory before it is there is what it then takes. */
import { expect, test } from "vitest";
import type { RunnerOptions } from "../../src/backends/runner-options.ts";
import type { Gpu } from "../../src/backends/webgpu/gpu.ts";
import { planGpuMemory } from "../../src/backends/webgpu/memory-plan.ts";
import { createWebgpuRunner } from "../../src/backends/webgpu/webgpu-runner.ts";
import { planOpened } from "../../src/engine/load-model.ts";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import { openHostGpu } from "../../src/engine/open-host-gpu.ts";
import { planLlama } from "../../src/model/plan.ts";
import { randomCheckpoint } from "../support/random-checkpoint.ts";
import { openDawn } from "./dawn.ts";

const SIZES = {
  vocab_size: 1000,
  hidden_size: 128,
  intermediate_size: 352,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 65_536,
};
const model = await openCheckpoint(randomCheckpoint(SIZES, 3), {
  quantization: "auto",
  profile: "default",
});
const openGpu = async (): Promise<Gpu> => {
  return openHostGpu({ open: openDawn, defaultLimits: true }, { software: true });
};

const options = { ctx: 512, slots: 4, maxRows: 128, maxLogits: 8, kv: "int16" } as const;
const CASES: Record<string, RunnerOptions> = {
  "f16 keys": options,
  "f32 keys and masks": { ...options, kv: "f32", masks: true },
  "one row": { ...options, slots: 1, maxRows: 1, maxLogits: 1 },
};

/** Of parameters: a kernel's are 256 bytes. */
const PARAMETER_BYTES = 150_000;

test.each(Object.entries(CASES))("%s", async (_, sizes) => {
  const gpu = await openGpu();
  const plan = planLlama(model.config);
  const runner = await createWebgpuRunner(plan, model.tensors, model.weightBytes, gpu, sizes);
  const { weights, kv, activations } = planGpuMemory(plan, model.weightBytes, sizes);
  expect(runner.memory).toMatchObject({ weights, kv });
  const more = runner.memory.activations - activations;
  expect(more).toBeGreaterThanOrEqual(0);
  expect(more).toBeLessThan(PARAMETER_BYTES);
  runner.dispose();
  gpu.device.destroy();
});

test("a buffer that is too large for the device is refused with the numbers", async () => {
  const gpu = await openGpu();
  const plan = planLlama(model.config);
  const sizes = { ...options, maxRows: 4096, maxLogits: 40_000 };
  await expect(
    createWebgpuRunner(plan, model.tensors, model.weightBytes, gpu, sizes),
  ).rejects.toMatchObject({
    code: "out_of_memory",
    message: expect.stringMatching(
      /logits: a buffer of \d{9} bytes: the device binds at most 134217728/,
    ),
  });
  gpu.device.destroy();
});

test("the plan of a model is that of its GPU", async () => {
  const gpu = await openGpu();
  const { runner, memory } = planOpened(model, { slots: 4 }, gpu);
  expect(memory.kv).toBe(2 * 4 * 4 * 2 * 32 * 2 * runner.ctx);
  const loaded = await createWebgpuRunner(
    planLlama(model.config),
    model.tensors,
    model.weightBytes,
    gpu,
    runner,
  );
  expect(loaded.memory.kv).toBe(memory.kv);
  loaded.dispose();
  gpu.device.destroy();
});
