/**
 * From a pack, a GGUF file or a checkpoint to a model that runs: memory is planned first, allocated once, filled,
 * and only then does anything compute.
 */
import { fitAdapter } from "../adapters/fit-adapter.ts";
import type { LoraAdapter } from "../adapters/lora-adapter.ts";
import type { KvType, MemoryUse, Runner } from "../backends/backend.ts";
import { createReferenceRunner } from "../backends/reference/reference-runner.ts";
import type { RunnerOptions } from "../backends/runner-options.ts";
import { adapterMemoryBytes } from "../backends/wasm/adapters/wasm-adapter.ts";
import { type SelectedKernel, selectKernel } from "../backends/wasm/kernel-variants.ts";
import { planMemory, WASM32_BYTES } from "../backends/wasm/memory-layout.ts";
import { createWasmRunner, type RunnerThreads } from "../backends/wasm/wasm-runner.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import type { LlamaConfig } from "../model/config.ts";
import { type Plan, planLlama } from "../model/plan.ts";
import { subtleDigest } from "../pack/digest.ts";
import type { Profile, Quantization } from "../pack/form-choice.ts";
import type { ImagePiece } from "../pack/image-pieces.ts";
import { createLocalStages } from "../stages/local-stages.ts";
import { MAX_STAGES, type StagesPlan } from "../stages/stage-plan.ts";
import { createTemplateFor } from "../templates/choose-template.ts";
import { configNotes } from "./config-notes.ts";
import { fitContext } from "./context-fit.ts";
import { fingerprint } from "./fingerprint.ts";
import { LoadWatch } from "./load-timings.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { openPack } from "./open-pack.ts";
import type { LoadProgress, ModelInput, OpenedModel } from "./opened-model.ts";
import type { Runtime } from "./runtime.ts";
import { SPECULATED_ROWS, type Speculate } from "./speculator.ts";
import { checkHostMemory, planStaged, STAGE_BYTES } from "./staged-plan.ts";
import { checkThreads, countThreads, prepareThreads, type ThreadCount } from "./threads.ts";

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
  readonly backend?: "auto" | "wasm" | "reference";
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
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** What is known of a model before anything is loaded. */
export interface ModelPlan {
  readonly model: OpenedModel;
  readonly config: LlamaConfig;
  readonly plan: Plan;
  readonly runner: RunnerOptions;
  /** Of the wasm backend. */
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
  const { signal, quantization = "auto", profile = "default" } = options;
  throwIfAborted(signal);
  if ("pack" in input) return planOpened(await openPack(input.pack, signal), options);
  // Loaded only here: who runs a pack needs neither other formats nor the packer.
  const { openSourceInput } = await import("./open-source-input.ts");
  const sizes = { quantization, profile, id: options.id };
  return planOpened(await openSourceInput(input, sizes, signal), options);
}

function defaultChunk({ budgetBytes }: PlanOptions): number {
  return budgetBytes === undefined ? DEFAULT_CHUNK : BUDGET_CHUNK;
}

/** The memory plan of a model at these options; "auto" threads count as one. */
export function planOpened(model: OpenedModel, options: PlanOptions): ModelPlan {
  const { config, tensors, weightBytes } = model;
  const { head } = model;
  const plan = planLlama(config, head === undefined ? {} : { head });
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
  const stages = stagesFor(model, plan, options, runnerAt);
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
    planMemory(plan, tensors, weightBytes, runnerAt(ctx)).use;
  const { max_position_embeddings } = config;
  const ctx = fitContext(
    options.ctx,
    options.ctx === undefined
      ? Math.min(max_position_embeddings, options.maxCtx ?? max_position_embeddings)
      : max_position_embeddings,
    Math.min(ownBytes, WASM32_BYTES),
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
    if (backend === "reference") {
      throw new PronkError("unsupported", "stages: the reference backend has none");
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
 * @throws PronkError as planModel; "corrupt" when a shard's bytes differ from its hash.
 */
export async function loadModel(
  input: ModelInput,
  runtime: Runtime,
  options: LoadOptions = {},
): Promise<LoadedModel> {
  const { signal, onProgress } = options;
  const watch = new LoadWatch(runtime.now);
  const threads = countThreads(options.threads, runtime.threads);
  const { count } = threads;
  const planned = await planModel(input, { ...options, threads: count });
  const { model } = planned;
  watch.lap("open_ms");
  const { runner, image, kernelReason, threadsReason } = await createRunner(
    planned,
    threads,
    runtime,
    options,
    watch,
  );
  try {
    const tokenizer = await model.loadTokenizer(signal);
    if (!tokenizer) {
      throw new PronkError("unsupported", `${model.facts.source.name}: it has no tokenizer`);
    }
    watch.lap("tokenizer_ms");
    const digest = watch.timed(runtime.digest ?? subtleDigest);
    await model.loadWeights(image, { signal, onProgress, digest });
    watch.weightsLap();
    const system = await fingerprint(model, await model.shardHashes(image), runner);
    await runner.ready;
    const template = createTemplateFor(model.facts.chat_template, tokenizer);
    watch.lap("finish_ms");
    const { backend, kernel, ctx, slots, vocab, memory } = runner;
    const notes = configNotes(planned.config, backend);
    const { used, asked, reason } = runner.threads ?? { used: 1, asked: 1, reason: undefined };
    return {
      runner,
      tokenizer,
      template,
      info: {
        id: options.id ?? model.facts.name,
        created: Math.floor(runtime.wallClock() / 1000),
        backend,
        kernel,
        kernelReason,
        threads: used,
        threadsReason: used < asked ? reason : threadsReason,
        ...(notes.length > 0 && { notes }),
        ctx,
        slots,
        vocab,
        ...(model.head && { labels: model.head.rows }),
        ...(planned.stages && { stages: planned.stages.stages.length }),
        memory,
        fingerprint: system,
        loading: watch.timings(),
      },
    };
  } catch (error) {
    // Its threads would live on.
    runner.dispose();
    runtime.memories?.giveBack();
    throw error;
  }
}

interface CreatedRunner {
  readonly runner: Runner;
  /** Where the weights belong. */
  readonly image: Uint8Array | readonly ImagePiece[];
  readonly kernelReason?: string;
  /** Why threads that were asked for are not there. */
  readonly threadsReason?: string | undefined;
}

async function createRunner(
  { model, plan, runner: sizes, stages }: ModelPlan,
  { count, reason }: ThreadCount,
  runtime: Runtime,
  options: LoadOptions,
  watch: LoadWatch,
): Promise<CreatedRunner> {
  const { tensors, weightBytes } = model;
  if (options.backend === "reference") {
    // Budgets are the kernels': this one keeps adapters in another form.
    const own = { ...sizes, adapterBytes: undefined };
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

function wholeNumber(param: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new PronkError("bad_request", `${param} ${value} is not an integer from 1 to ${max}`, {
      param,
    });
  }
  return value;
}
