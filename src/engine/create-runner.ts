/** A model's runner in memory that JavaScript reaches: by the kernels, in one memory or several, or by the reference. */
import type { Runner } from "../backends/backend.ts";
import { type SelectedKernel, selectKernel } from "../backends/wasm/kernel-variants.ts";
import { createWasmRunner, type RunnerThreads } from "../backends/wasm/wasm-runner.ts";
import { PronkError } from "../errors.ts";
import type { CreatedRunner, ModelLoad } from "./fill-model.ts";
import type { ModelPlan } from "./load-model.ts";
import { checkHostMemory } from "./staged-plan.ts";
import { prepareThreads, type ThreadCount } from "./threads.ts";

/** @throws PronkError "out_of_memory"; "unsupported". */
export async function createRunner(
  { model, plan, runner: sizes, stages }: ModelPlan,
  { count, reason }: ThreadCount,
  { runtime, options, watch }: ModelLoad,
): Promise<CreatedRunner> {
  const { tensors, weightBytes } = model;
  if (options.backend === "reference") {
    // Budgets are the kernels': this one keeps adapters in another form.
    const own = { ...sizes, adapterBytes: undefined };
    // Loaded only here, as what follows: few run it.
    const { createReferenceRunner } = await import("../backends/reference/reference-runner.ts");
    const runner = createReferenceRunner(plan, tensors, weightBytes, own);
    watch.lap("memory_ms");
    const threadsReason = count > 1 ? "the reference backend has one thread" : reason;
    return { runner, image: runner.weights, threadsReason };
  }
  // Before a kernel is tried: nothing is worth that where there is no room.
  if (stages) checkHostMemory(stages, runtime.freeBytes?.());
  const kernel: SelectedKernel = selectKernel(runtime.kernels, {
    variant: options.kernel,
    now: runtime.now,
  });
  watch.lap("kernel_ms");
  if (stages) {
    const { createLocalStages } = await import("../stages/local-stages.ts");
    const { runner, image } = createLocalStages({ plan, tensors }, stages, kernel);
    watch.lap("memory_ms");
    const threadsReason = count > 1 ? "stages run on one thread" : reason;
    return { runner, image, kernelReason: kernel.reason, threadsReason };
  }
  const create = (threads: number, beside?: RunnerThreads): Runner => {
    const all = { ...sizes, threads };
    const runner = createWasmRunner(
      plan,
      tensors,
      weightBytes,
      kernel,
      all,
      beside,
      runtime.memories,
    );
    watch.lap("memory_ms");
    return runner;
  };
  const kernelReason = kernel.reason;
  const alone = (threadsReason: string | undefined): CreatedRunner => {
    const runner = create(1);
    return { runner, image: runner.weights, kernelReason, threadsReason };
  };
  if (count === 1) return alone(reason);
  try {
    const beside = await prepareThreads(runtime, kernel, options.fixedThreads);
    const runner = create(count, beside);
    return { runner, image: runner.weights, kernelReason };
  } catch (error) {
    if (!(error instanceof PronkError) || error.code === "out_of_memory") throw error;
    return alone(error.message);
  }
}
