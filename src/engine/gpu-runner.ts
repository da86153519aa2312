/** A model's runner on a GPU, which is loaded again should the device be lost. */
import type { Gpu } from "../backends/webgpu/gpu.ts";
import { SHADER_VERSION } from "../backends/webgpu/shaders.gen.ts";
import { createWebgpuRunner, type WebgpuRunner } from "../backends/webgpu/webgpu-runner.ts";
import { PronkError } from "../errors.ts";
import type { CreatedRunner, ModelLoad } from "./fill-model.ts";
import { chooseNumbers } from "./gpu-numbers.ts";
import { platformOf } from "./gpu-platform.ts";
import { chooseSubgroups } from "./gpu-subgroups.ts";
import type { ModelPlan } from "./load-model.ts";
import { openHostGpu } from "./open-host-gpu.ts";
import { type GpuRun, RecoveringRunner } from "./recovering-runner.ts";

/** @throws PronkError "out_of_memory"; "unsupported" for what the backend does not run. */
export async function createGpuRunner(
  { model, plan, runner: sizes }: ModelPlan,
  gpu: Gpu,
  { runtime, options, watch }: ModelLoad,
): Promise<CreatedRunner> {
  const { tensors, weightBytes } = model;
  const { digest, yieldTask } = runtime;
  const host = platformOf(runtime);
  const { onProgress, threads = 1 } = options;
  const isThreaded = threads === "auto" || threads > 1;
  const numbers = await chooseNumbers(options.gpuNumbers, model, gpu, runtime.now);
  const subgroups = await chooseSubgroups(model, gpu, runtime.now);
  const create = (on: Gpu): Promise<WebgpuRunner> =>
    createWebgpuRunner(plan, tensors, weightBytes, on, { ...sizes, numbers, subgroups });
  const first = await create(gpu);
  watch.lap("memory_ms");
  const { image } = first;
  const reload = async (): Promise<GpuRun> => {
    // What was fast is not to go on slowly.
    const found = await openHostGpu(host, { software: gpu.isSoftware });
    try {
      const runner = await create(found);
      await model.loadWeights(runner.image, {
        ...(onProgress && { onProgress }),
        ...(digest && { digest }),
      });
      const hashes = await model.shardHashes(runner.image);
      if (hashes.join() !== (await model.shardHashes(image)).join()) {
        throw new PronkError("corrupt", `${model.facts.source.name}: its weights are others now`);
      }
      return { runner, gpu: found };
    } catch (error) {
      found.device.destroy();
      throw error;
    }
  };
  const runner = new RecoveringRunner({ runner: first, gpu }, { reload, yieldTask });
  return {
    runner,
    image,
    version: `${SHADER_VERSION} ${first.kernel}`,
    ...(isThreaded && { threadsReason: "a GPU's work is launched by one thread" }),
    closeLater: (close) => runner.closeLater(close),
  };
}
