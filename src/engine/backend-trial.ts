/**
 * How long a token takes on a GPU and by the kernels: some layers of the model's own shapes, with weights of zeros, run
 * by both. Reading and launching take as long as with any others.
 */
import type { Batch, KvType, Runner } from "../backends/backend.ts";
import { selectKernel } from "../backends/wasm/kernel-variants.ts";
import { createWasmRunner } from "../backends/wasm/wasm-runner.ts";
import type { Gpu } from "../backends/webgpu/gpu.ts";
import { createWebgpuRunner } from "../backends/webgpu/webgpu-runner.ts";
import { type Plan, planLlama } from "../model/plan.ts";
import { EMBEDDING, FINAL_NORM } from "../model/tensors.ts";
import { alignUp, weightBytes } from "../pack/forms.ts";
import type { PackedTensor } from "../pack/manifest.ts";
import type { OpenedModel } from "./opened-model.ts";
import type { Runtime } from "./runtime.ts";

/** Milliseconds of one token of the same part of the model. */
export interface BackendTimes {
  readonly gpu: number;
  /** On one thread. */
  readonly wasm: number;
  /** The part, for people. */
  readonly what: string;
}

/** What of a model is run. */
export type TrialModel = Pick<OpenedModel, "config" | "tensors"> & {
  readonly facts: { readonly quantization: { readonly kv: KvType } };
};

/** More than CPUs keep close to their cores, and little enough to be made and read in a moment. */
const TRIAL_BYTES = 32 * 2 ** 20;

/** Rows of the table: all that is needed of it is that there is one. */
const TRIAL_VOCAB = 1024;

const TRIAL_CTX = 64;

/** Samples of which the shortest counts; fewer where they take long. */
const SAMPLES = 12;
const SAMPLE_LIMIT_MS = 150;

/** @throws PronkError where the GPU does not run the part, as for want of memory. */
export async function timeBackends(
  model: TrialModel,
  gpu: Gpu,
  runtime: Pick<Runtime, "kernels" | "now">,
): Promise<BackendTimes> {
  const { plan, tensors, bytes, layers } = trialOf(model);
  const { kv } = model.facts.quantization;
  const sizes = { ctx: TRIAL_CTX, slots: 1, maxRows: 1, maxLogits: 1, kv };
  const time = async (runner: Runner): Promise<number> => {
    try {
      return await timeToken(runner, runtime.now);
    } finally {
      runner.dispose();
    }
  };
  // One after the other: a GPU's driver computes on the CPU, too.
  const onGpu = await time(await createWebgpuRunner(plan, tensors, bytes, gpu, sizes));
  const kernel = selectKernel(runtime.kernels, { now: runtime.now });
  const onCpu = await time(createWasmRunner(plan, tensors, bytes, kernel, sizes));
  const what = `a token of ${layers} of ${model.config.num_hidden_layers} layers`;
  return { gpu: onGpu, wasm: onCpu, what };
}

export interface Trial {
  readonly plan: Plan;
  readonly tensors: readonly PackedTensor[];
  readonly bytes: number;
  readonly layers: number;
}

/** The first layers, the last norm and a small table, which is the head, too. */
export function trialOf({ config, tensors: all }: TrialModel): Trial {
  const vocab = Math.min(TRIAL_VOCAB, config.vocab_size);
  const tensors: PackedTensor[] = [];
  let bytes = 0;
  const add = (tensor: PackedTensor): void => {
    const size = weightBytes(tensor.form, tensor.shape);
    tensors.push({ ...tensor, offset: bytes, bytes: size });
    bytes = alignUp(bytes + size);
  };
  const named = (name: string): void => {
    const found = all.find((tensor) => tensor.name === name);
    if (found) add(name === EMBEDDING ? { ...found, shape: [vocab, found.shape[1]] } : found);
  };
  named(EMBEDDING);
  let layers = 0;
  for (; layers < config.num_hidden_layers && bytes < TRIAL_BYTES; layers++) {
    const own = `model.layers.${layers}.`;
    for (const tensor of all) if (tensor.name.startsWith(own)) add(tensor);
  }
  named(FINAL_NORM);
  const plan = planLlama({
    ...config,
    vocab_size: vocab,
    num_hidden_layers: layers,
    tie_word_embeddings: true,
  });
  return { plan, tensors, bytes, layers };
}

/** The shortest of some samples, without the first, which compiles and allocates. */
export async function timeToken(runner: Runner, now: () => number): Promise<number> {
  const { chooser } = runner;
  const ahead = chooser?.ahead ?? 1;
  let best = Number.POSITIVE_INFINITY;
  let start = 0;
  const run = async (): Promise<void> => {
    if (start + ahead > TRIAL_CTX) start = 0;
    const batch: Batch = {
      ids: [0],
      spans: [{ slot: 0, start, count: 1 }],
      logitsRows: [0],
      argmax: true,
      ...(chooser && { choices: [{ kind: "argmax" as const }], ahead }),
    };
    await runner.forward(batch);
    start += ahead;
  };
  await run();
  const begun = now();
  for (let i = 0; i < SAMPLES; i++) {
    const before = now();
    await run();
    const after = now();
    best = Math.min(best, (after - before) / ahead);
    if (i > 0 && after - begun > SAMPLE_LIMIT_MS) break;
  }
  return best;
}
