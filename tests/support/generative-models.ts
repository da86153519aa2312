/** Golden models as what `generate` runs, on the backends that compute in f32. */
import { readFileSync } from "node:fs";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { createReferenceRunner } from "../../src/backends/reference/reference-runner.ts";
import type { RunnerOptions } from "../../src/backends/runner-options.ts";
import { createWasmRunner } from "../../src/backends/wasm/wasm-runner.ts";
import { checkpointEntries } from "../../src/checkpoints/checkpoint-entries.ts";
import { RunnerModel } from "../../src/llama/generation/runner-model.ts";
import { parseLlamaConfig } from "../../src/model/config.ts";
import { planLlama } from "../../src/model/plan.ts";
import { planImage } from "../../src/pack/image-plan.ts";
import { packTensors } from "../../src/pack/packer.ts";
import { openGoldenModel } from "./golden-model.ts";

export const BACKENDS = ["reference", "wasm"] as const;
export type Backend = (typeof BACKENDS)[number];

/** More than any golden case needs; few rows a batch, so that prompts are cut. */
const SIZES = { ctx: 64, slots: 12, maxRows: 7, maxLogits: 5 };

/** Weights and cache in f32, whatever the file has. */
export async function generativeModel(
  name: string,
  backend: Backend,
  sizes: Partial<RunnerOptions> = {},
): Promise<RunnerModel> {
  const checkpoint = await openGoldenModel(name);
  const config = parseLlamaConfig(checkpoint.config, name);
  const plan = planLlama(config);
  const entries = checkpointEntries(checkpoint, config, {
    quantization: "f32",
    profile: "default",
  });
  const { tensors, weightBytes } = planImage(entries);
  const kv: KvType = "f32";
  const options = { ...SIZES, kv, ...sizes };
  const runner: Runner =
    backend === "reference"
      ? createReferenceRunner(plan, tensors, weightBytes, options)
      : createWasmRunner(plan, tensors, weightBytes, kernel(), options);
  await packTensors(entries, (offset, bytes) => runner.weights.set(bytes, offset));
  return new RunnerModel(runner, config);
}

function kernel(): Parameters<typeof createWasmRunner>[3] {
  const dist = process.env.PRONK_WASM_DIST ?? "wasm/dist";
  const module = new WebAssembly.Module(readFileSync(`${dist}/plain.wasm`));
  return { module, variant: "simd" };
}
