/** What a GPU multiplies prompts as, where that is left open: what is faster on it than f32 by more than chance. */
import type { Gpu } from "../backends/webgpu/gpu.ts";
import type { ProductNumbers } from "../backends/webgpu/product-tiles.ts";
import { createWebgpuRunner } from "../backends/webgpu/webgpu-runner.ts";
import { type TrialModel, trialOf } from "./backend-trial.ts";

/** Two tiles of rows. */
const ROWS = 128;

/** The first compiles. */
const SAMPLES = 3;

/** What is rounded has to pay. */
const LEAST_GAIN = 1.2;

/**
 * @param asked "auto" measures on the model's own shapes, but not on software adapters, which compute in f32
 * @throws PronkError where the GPU does not run the part that is measured.
 */
export async function chooseNumbers(
  asked: ProductNumbers | "auto" | undefined,
  model: TrialModel,
  gpu: Gpu,
  now: () => number,
): Promise<ProductNumbers> {
  if (asked !== "auto") return asked ?? "f32";
  if (gpu.isSoftware) return "f32";
  let best: ProductNumbers = "f32";
  let least = (await timeNumbers(best, model, gpu, now)) / LEAST_GAIN;
  for (const numbers of ["f16", "int8"] as const) {
    if (!(numbers === "f16" ? gpu.hasF16 : gpu.hasInt8)) continue;
    const time = await timeNumbers(numbers, model, gpu, now);
    if (time >= least) continue;
    best = numbers;
    least = time;
  }
  return best;
}

/** Milliseconds of a prompt of 128 tokens of some layers. */
async function timeNumbers(
  numbers: ProductNumbers,
  model: TrialModel,
  gpu: Gpu,
  now: () => number,
): Promise<number> {
  const { plan, tensors, bytes } = trialOf(model);
  const { kv } = model.facts.quantization;
  const options = { ctx: ROWS, slots: 1, maxRows: ROWS, maxLogits: 1, kv, numbers };
  const runner = await createWebgpuRunner(plan, tensors, bytes, gpu, options);
  try {
    const ids = new Uint32Array(ROWS);
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i <= SAMPLES; i++) {
      const before = now();
      await runner.forward({ ids, spans: [{ slot: 0, start: 0, count: ROWS }], logitsRows: [] });
      if (i > 0) best = Math.min(best, now() - before);
    }
    return best;
  } finally {
    runner.dispose();
  }
}
