/** Whether decoding adds up through subgroups: where a GPU has them as that needs, and is faster with them. */
import type { Gpu } from "../backends/webgpu/gpu.ts";
import { hasOrderedSubgroups } from "../backends/webgpu/subgroup-order.ts";
import { createWebgpuRunner } from "../backends/webgpu/webgpu-runner.ts";
import { PronkError } from "../errors.ts";
import { type TrialModel, timeToken, trialOf } from "./backend-trial.ts";

const TRIAL_CTX = 64;

/** Measured on the model's own shapes; nothing is on software adapters, which do without. */
export async function chooseSubgroups(
  model: TrialModel,
  gpu: Gpu,
  now: () => number,
): Promise<boolean> {
  if (gpu.isSoftware) return false;
  try {
    return (await hasOrderedSubgroups(gpu)) && (await isFaster(model, gpu, now));
  } catch (error) {
    // A feature that is there and does not compile; of a lost device the model's own runner tells.
    if (error instanceof PronkError) return false;
    throw error;
  }
}

async function isFaster(model: TrialModel, gpu: Gpu, now: () => number): Promise<boolean> {
  const { plan, tensors, bytes } = trialOf(model);
  const { kv } = model.facts.quantization;
  const time = async (subgroups: boolean): Promise<number> => {
    const options = { ctx: TRIAL_CTX, slots: 1, maxRows: 1, maxLogits: 1, kv, subgroups };
    const runner = await createWebgpuRunner(plan, tensors, bytes, gpu, options);
    try {
      return await timeToken(runner, now);
    } finally {
      runner.dispose();
    }
  };
  const without = await time(false);
  return (await time(true)) < without;
}
