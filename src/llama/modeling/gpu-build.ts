/** A model's runner on a GPU, beside its weights in memory: what saves, resizes and looks up rows reads them there. */
import type { Runner } from "../../backends/backend.ts";
import type { RunnerOptions } from "../../backends/runner-options.ts";
import type { Gpu } from "../../backends/webgpu/gpu.ts";
import { platformOf } from "../../engine/gpu-platform.ts";
import { type GpuRun, RecoveringRunner } from "../../engine/recovering-runner.ts";
import type { Plan } from "../../model/plan.ts";
import type { ModelRuntime, ModelWeights } from "./runner-build.ts";

/** Of the image at a time on its way to the GPU. */
const PIECE_BYTES = 16 * 1024 * 1024;

export interface GpuWeights extends ModelWeights {
  readonly plan: Plan;
}

/**
 * Owns the GPU. @throws PronkError "out_of_memory", "unsupported", and what loading throws.
 */
export async function buildOnGpu(
  { plan, tensors, weightBytes, load }: GpuWeights,
  gpu: Gpu,
  runtime: ModelRuntime,
  sizes: RunnerOptions,
): Promise<{ runner: Runner; changed: (offset: number, bytes: number) => void }> {
  const { yieldTask = nextTask } = runtime;
  const host = platformOf(runtime);
  const { createWebgpuRunner, openHostGpu } = await host.backend();
  let image: { write(offset: number, bytes: Uint8Array): void };
  const run = async (on: Gpu, weights: Uint8Array): Promise<GpuRun> => {
    const runner = await createWebgpuRunner(plan, tensors, weightBytes, on, sizes);
    image = runner.image;
    for (let at = 0; at < weightBytes; at += PIECE_BYTES) {
      image.write(at, weights.subarray(at, at + PIECE_BYTES));
    }
    return { runner, gpu: on };
  };
  try {
    const weights = new Uint8Array(weightBytes);
    await load(weights);
    const reload = async (): Promise<GpuRun> => {
      const found = await openHostGpu(host, { software: gpu.isSoftware });
      return run(found, weights);
    };
    const runner = new RecoveringRunner(await run(gpu, weights), { reload, yieldTask }, weights);
    const changed = (offset: number, bytes: number): void =>
      image.write(offset, weights.subarray(offset, offset + bytes));
    return { runner, changed };
  } catch (error) {
    gpu.device.destroy();
    throw error;
  }
}

function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
