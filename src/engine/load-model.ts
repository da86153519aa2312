/**
 * From a pack, a GGUF file or a checkpoint to a model that runs: memory is planned first, allocated once, filled,
 * and only then does anything compute.
 */
import { fitAdapter } from "../adapters/fit-adapter.ts";
import type { LoraAdapter } from "../adapters/lora-adapter.ts";
import type { KvType, MemoryUse } from "../backends/backend.ts";
import { checkTensors } from "../backends/check-tensors.ts";
import type { RunnerOptions } from "../backends/runner-options.ts";
import { adapterMemoryBytes } from "../backends/wasm/adapters/adapter-bytes.ts";
import { planMemory, WASM32_BYTES } from "../backends/wasm/memory-layout.ts";
import { DEFAULT_LIMITS, type GpuLimits } from "../backends/webgpu/gpu-limits.ts";
import { gpuPositions, planGpuMemory } from "../backends/webgpu/memory-plan.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import type { LlamaConfig } from "../model/config.ts";
import { type Plan, planLlama } from "../model/plan.ts";
import type { Profile, Quantization } from "../pack/form-choice.ts";
import { MAX_STAGES, type StagesPlan } from "../stages/stage-plan.ts";
import type { Backend } from "./backend-name.ts";
import { abandonGpu, chooseBackend, mayFallBack, searchGpu } from "./choose-backend.ts";
import { fitContext } from "./context-fit.ts";
import { createRunner } from "./create-runner.ts";
import { fillModel, type ModelLoad } from "./fill-model.ts";
import { platformOf } from "./gpu-platform.ts";
import { LoadWatch } from "./load-timings.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { openPack } from "./open-pack.ts";
import type { LoadProgress, ModelInput, OpenedModel } from "./opened-model.ts";
import type { Runtime } from "./runtime.ts";
import { SPECULATED_ROWS, type Speculate } from "./speculator.ts";
import { planStaged, STAGE_BYTES } from "./staged-plan.ts";
import { checkThreads, countThreads } from "./threads.ts";

export interface PlanOptions {
  /** What the model is called; default: the pack's or the file's own name. */
  readonly id?: string;
  /** Positions of a slot. Default: the smaller of the model's and what fits the budget. */
  readonly ctx?: number;
  /** Bounds the default, not what `ctx` asks for. */
  readonly maxCtx?: number;
  /** Sequences at a time. Default 4. */
  readonly slots?: number;
  /** Default: what belongs to the form of the weights (int16; int8 for small; f32 for none). */
  readonly kv?: KvType;
  /** Of a GGUF file or a checkpoint; a pack's is fixed. Default auto. */
  readonly quantization?: Quantization;
  readonly profile?: Profile;
  /** "webgpu" takes any adapter; "auto", the default, a real one that is faster here. */
  readonly backend?: Backend;
  /** Rows of a batch: the chunk of prefill. Default 128; 64 with a budget. */
  readonly chunk?: number;
  /** Rows of logits of a batch. Default: one a slot, and those for speculation. */
  readonly maxLogits?: number;
  /**
   * Unless off: rows of logits for the SPECULATED_ROWS tokens that an engine may run ahead, 4 bytes by
   * the size of the vocabulary each; 3 MB in all for 49,152 tokens. Default off.
   */
  readonly speculate?: Speculate;
  /** Bytes that the whole plan may take. Default and limit: the 4 GiB of wasm32. */
  readonly budgetBytes?: number;
  /** LoRA adapters that are to be loaded beside it: the budget has room for them, too. */
  readonly roomFor?: readonly LoraAdapter[];
  /**
   * Memories that the model is divided among, one thread for all of them; the same output. Default: one; as many as
   * needed where it is over 3.5 GiB, unless there is a budget.
   */
  readonly stages?: number;
  /** Threads that compute a batch; "auto": one a core. Same bytes, other speed. Default 1. */
  readonly threads?: number | "auto";
  readonly signal?: AbortSignal;
}

export interface LoadOptions extends PlanOptions {
  /** All threads for every batch, whether that pays or not. Default: what is measured as fastest. */
  readonly fixedThreads?: boolean;
  readonly kernel?: "auto" | "dot" | "m" | "simd";
  /** Chat templates whose text is known are rendered without Jinja, to the same text. Default false. */
  readonly plainTemplates?: boolean;
  /**
   * What a GPU multiplies prompts as: f16 and int8 round (to about 3e-4 and 2e-3 of a product) and may be faster; "auto"
   * measures whether they are. Default f32.
   */
  readonly gpuNumbers?: "auto" | "f32" | "f16" | "int8";
  /** Called again should the model be loaded again, as after the loss of a GPU. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /**
   * Called when nothing will be read of the input any more: after loading, or, where it may have to be read again, when
   * the runner is disposed. Not called by a load that fails.
   */
  readonly close?: () => Promise<void>;
}

/** What is known of a model before anything is loaded. */
export interface ModelPlan {
  readonly model: OpenedModel;
  readonly config: LlamaConfig;
  readonly plan: Plan;
  readonly runner: RunnerOptions;
  /** Of the wasm backend; where a GPU is asked for, on that. */
  readonly memory: MemoryUse;
  /** Where it is divided. */
  readonly stages?: StagesPlan;
  /** Of the adapters that there is to be room for, beside `memory`. */
  readonly adapterBytes: number;
}

/** Each chunk reads and unpacks all weights: 128 rows are 5 % faster than 64, 256 only 1 % more. */
const DEFAULT_CHUNK = 128;
/** Where memory is short: the activations take half as much. */
export const BUDGET_CHUNK = 64;
const DEFAULT_SLOTS = 4;
const MAX_SLOTS = 256;
const MAX_CHUNK = 4096;

/**
 * Reads the index of a model and plans its memory; loads no weight.
 *
 * @throws PronkError "out_of_memory" with the plan's numbers; "bad_format"; "unsupported";
 *   "not_found"; "source_failed"; "bad_request"; "aborted".
 */
export async function planModel(input: ModelInput, options: PlanOptions = {}): Promise<ModelPlan> {
  const model = await openInput(input, options);
  return planOpened(model, options, options.backend === "webgpu" ? DEFAULT_LIMITS : undefined);
}

async function openInput(input: ModelInput, options: PlanOptions): Promise<OpenedModel> {
  const { signal, quantization = "auto", profile = "default" } = options;
  throwIfAborted(signal);
  if ("pack" in input) return openPack(input.pack, signal);
  // Loaded only here: who runs a pack needs neither other formats nor the packer.
  const { openSourceInput } = await import("./open-source-input.ts");
  return openSourceInput(input, { quantization, profile, id: options.id }, signal);
}

function defaultChunk({ budgetBytes }: PlanOptions): number {
  return budgetBytes === undefined ? DEFAULT_CHUNK : BUDGET_CHUNK;
}

/**
 * The memory plan of a model at these options; "auto" threads count as one.
 *
 * @param gpu what the webgpu backend is to run on
 */
export function planOpened(model: OpenedModel, options: PlanOptions, gpu?: GpuLimits): ModelPlan {
  const { config, tensors, weightBytes } = model;
  const { head } = model;
  const plan = planLlama(config, head === undefined ? {} : { head });
  checkTensors(plan, tensors);
  const slots = wholeNumber("slots", options.slots ?? DEFAULT_SLOTS, MAX_SLOTS);
  const maxRows = Math.max(
    slots,
    wholeNumber("chunk", options.chunk ?? defaultChunk(options), MAX_CHUNK),
  );
  const maxLogits = Math.min(
    maxRows,
    wholeNumber("maxLogits", options.maxLogits ?? defaultLogits(slots, maxRows, options), maxRows),
  );
  const kv = options.kv ?? model.facts.quantization.kv;
  const { threads: asked } = options;
  const threads = asked === "auto" ? 1 : checkThreads(asked ?? 1);
  const adapterBytes = bytesOf(options.roomFor ?? [], plan);
  const { budgetBytes } = options;
  const ownBytes =
    budgetBytes === undefined ? WASM32_BYTES : Math.max(0, budgetBytes - adapterBytes);
  const runnerAt = (ctx: number): RunnerOptions => ({
    ctx,
    slots,
    maxRows,
    maxLogits,
    kv,
    threads,
  });
  const stages = gpu ? undefined : stagesFor(model, plan, options, runnerAt);
  if (stages) {
    const { ctx } = stages.options;
    if (adapterBytes > 0) throw new PronkError("unsupported", "adapters: stages run none");
    return {
      model,
      config,
      plan,
      runner: runnerAt(ctx),
      memory: stages.memory,
      stages,
      adapterBytes,
    };
  }
  const memoryAt = (ctx: number): MemoryUse =>
    gpu
      ? planGpuMemory(plan, weightBytes, runnerAt(ctx))
      : planMemory(plan, tensors, weightBytes, runnerAt(ctx)).use;
  const { max_position_embeddings } = config;
  const most = Math.min(
    options.maxCtx ?? max_position_embeddings,
    gpu ? gpuPositions(config, { slots, kv }, gpu) : Number.POSITIVE_INFINITY,
  );
  const ctx = fitContext(
    options.ctx,
    options.ctx === undefined ? Math.min(max_position_embeddings, most) : max_position_embeddings,
    gpu ? gpuBytes(weightBytes, options) : Math.min(ownBytes, WASM32_BYTES),
    (positions) => memoryAt(positions).total,
  );
  const memory = memoryAt(ctx);
  const runner = {
    ...runnerAt(ctx),
    // What is left of a budget is for adapters, those that come later, too.
    ...(budgetBytes !== undefined && { adapterBytes: budgetBytes - memory.total }),
  };
  return { model, config, plan, runner, memory, adapterBytes };
}

/**
 * WebGPU does not say how much memory there is. A context that is asked for is tried; others take what the kernels
 * would, or as much again as large weights.
 */
function gpuBytes(weightBytes: number, { ctx }: PlanOptions): number {
  return ctx === undefined ? Math.max(WASM32_BYTES, 2 * weightBytes) : Number.POSITIVE_INFINITY;
}

/** Positions that a model has to have room for in one memory, unless others are asked for. */
const LEAST_CTX = 1024;

/** undefined: one memory. */
function stagesFor(
  model: OpenedModel,
  plan: Plan,
  options: PlanOptions,
  runnerAt: (ctx: number) => RunnerOptions,
): StagesPlan | undefined {
  const { ctx, maxCtx, stages: count, budgetBytes, backend } = options;
  const { tensors, weightBytes, config } = model;
  if (count === undefined) {
    if (budgetBytes !== undefined || backend === "reference") return undefined;
    const least = Math.min(config.max_position_embeddings, maxCtx ?? LEAST_CTX, LEAST_CTX);
    const positions = Math.ceil((ctx ?? least) / 8) * 8;
    const { use } = planMemory(plan, tensors, weightBytes, runnerAt(positions));
    if (use.total <= STAGE_BYTES) return undefined;
  } else {
    wholeNumber("stages", count, MAX_STAGES);
    if (count === 1) return undefined;
    if (backend === "reference" || backend === "webgpu") {
      throw new PronkError("unsupported", `stages: the ${backend} backend has none`);
    }
  }
  return planStaged(model, plan, { ctx, maxCtx, count, runnerAt });
}

/** @throws PronkError "bad_request" when an adapter is another model's. */
function bytesOf(adapters: readonly LoraAdapter[], plan: Plan): number {
  return adapters.reduce((sum, adapter) => {
    fitAdapter(adapter, plan.config, plan.headTensors);
    return sum + adapterMemoryBytes(adapter, plan);
  }, 0);
}

function defaultLogits(slots: number, maxRows: number, { speculate = "off" }: PlanOptions): number {
  return speculate === "off" ? slots : Math.min(maxRows, slots + SPECULATED_ROWS);
}

/**
 * Loads a model.
 *
 * @throws PronkError as planModel; "corrupt" when a shard's bytes differ from its hash; "unsupported" where the webgpu
 *   backend is asked for and there is no GPU.
 */
export async function loadModel(
  input: ModelInput,
  runtime: Runtime,
  options: LoadOptions = {},
): Promise<LoadedModel> {
  const watch = new LoadWatch(runtime.now);
  const threads = countThreads(options.threads, runtime.threads);
  const { count } = threads;
  const asked = { ...options, threads: count };
  const search = searchGpu(runtime, asked);
  const model = await openInput(input, options).catch((error) => {
    abandonGpu(search);
    throw error;
  });
  watch.lap("open_ms");
  const choice = await chooseBackend(search, model, runtime, asked);
  watch.lap("kernel_ms");
  const load: ModelLoad = { runtime, options, watch, choice };
  const { gpu } = choice;
  if (gpu !== undefined) {
    try {
      const { createGpuRunner } = await platformOf(runtime).backend();
      const planned = planOpened(model, options, gpu);
      return await fillModel(planned, await createGpuRunner(planned, gpu, load), load);
    } catch (error) {
      gpu.device.destroy();
      if (options.backend === "webgpu" || !mayFallBack(error)) throw error;
      load.choice = { reason: `wasm: ${gpu.name}: ${error.message}` };
    }
  }
  const planned = planOpened(model, asked);
  return fillModel(planned, await createRunner(planned, threads, load), load);
}

function wholeNumber(param: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new PronkError("bad_request", `${param} ${value} is not an integer from 1 to ${max}`, {
      param,
    });
  }
  return value;
}
