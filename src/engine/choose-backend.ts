/** Which backend runs a model: the one that is asked for, or, where it is left open, the one that is faster here. */
import type { Gpu } from "../backends/webgpu/gpu.ts";
import type { GpuLimits } from "../backends/webgpu/gpu-limits.ts";
import { PronkError } from "../errors.ts";
import type { Backend } from "./backend-name.ts";
import type { BackendTimes, TrialModel } from "./backend-trial.ts";
import { platformOf } from "./gpu-platform.ts";
import type { Runtime } from "./runtime.ts";

/** What of a runtime decides. */
export type ChoosingRuntime = Pick<Runtime, "kernels" | "now" | "gpu">;

export interface BackendChoice {
  /** Where the webgpu backend is to run, which then owns it. */
  readonly gpu?: Gpu;
  /** Why this backend, for people: `wasm: …`. Absent where nothing was left open. */
  readonly reason?: string;
  /** What to tell who asked for it. */
  readonly note?: string;
}

export interface ChoiceOptions {
  readonly backend?: Backend | undefined;
  readonly kernel?: string | undefined;
  readonly stages?: number | undefined;
  readonly budgetBytes?: number | undefined;
  readonly threads: number;
}

/** The GPU's lead has to be more than what a measurement this short is wrong by. */
const LEAST_GAIN = 1.1;

/** Whether, and if so which, GPU there is for a model; begun before the model is opened, which takes about as long. */
export type GpuSearch = Promise<Gpu | PronkError> | string | undefined;

/** undefined where the backend is named and is not this one; a text says why "auto" does not even ask. */
export function searchGpu(runtime: ChoosingRuntime, options: ChoiceOptions): GpuSearch {
  const { backend = "auto" } = options;
  if (backend === "wasm" || backend === "reference") return undefined;
  const why = foreign(options);
  if (backend === "webgpu") {
    return Promise.resolve(why === undefined ? openGpu(runtime, true) : none(why));
  }
  return why ?? without(runtime) ?? openGpu(runtime, false);
}

async function openGpu(runtime: ChoosingRuntime, software: boolean): Promise<Gpu | PronkError> {
  try {
    const host = platformOf(runtime);
    // Most hosts stop here, and load nothing more.
    const found = await host.open();
    if (typeof found === "string") return none(found);
    const { openHostGpu } = await host.backend();
    return await openHostGpu(host, { software });
  } catch (error) {
    return error instanceof PronkError ? error : none(String(error), error);
  }
}

function none(why: string, cause?: unknown): PronkError {
  return new PronkError("unsupported", `webgpu: ${why}`, { cause });
}

/** Gives a GPU back that nobody will use. */
export function abandonGpu(search: GpuSearch): void {
  if (!(search instanceof Promise)) return;
  void search.then((found) => {
    if (!(found instanceof PronkError)) found.device.destroy();
  });
}

/**
 * "auto" takes a real adapter on which a short run of the model's own shapes is faster than the kernels; a software
 * adapter is taken only by "webgpu".
 *
 * @throws PronkError "unsupported" for "webgpu" where there is none.
 */
export async function chooseBackend(
  search: GpuSearch,
  model: TrialModel,
  runtime: ChoosingRuntime,
  { backend = "auto", threads }: ChoiceOptions,
): Promise<BackendChoice> {
  if (search === undefined) return {};
  if (typeof search === "string") return { reason: `wasm: ${search}` };
  const gpu = await search;
  if (gpu instanceof PronkError) {
    if (backend === "webgpu") throw gpu;
    return { reason: `wasm: ${gpu.message.replace(/^webgpu: /, "")}` };
  }
  if (backend === "webgpu") {
    const note = `webgpu: ${gpu.name} is a software adapter: it computes on the CPU, slower than the wasm backend`;
    return { gpu, reason: `webgpu: as asked for (${gpu.name})`, ...(gpu.isSoftware && { note }) };
  }
  try {
    const { timeBackends } = await platformOf(runtime).backend();
    const { isFaster, found } = judge(gpu, await timeBackends(model, gpu, runtime), threads);
    if (isFaster) return { gpu, reason: `webgpu: ${found}` };
    gpu.device.destroy();
    return { reason: `wasm: ${found}` };
  } catch (error) {
    gpu.device.destroy();
    if (!(error instanceof PronkError)) throw error;
    return { reason: `wasm: ${gpu.name}: ${error.message}` };
  }
}

export interface ExplainedBackend {
  /** Which, and why, for people. */
  readonly reason: string;
  /** Of the GPU that it would run on. */
  readonly limits?: GpuLimits;
}

/** Which backend runs a model with these options; nothing of it is kept. @throws PronkError as chooseBackend. */
export async function explainBackend(
  model: TrialModel,
  runtime: ChoosingRuntime,
  options: ChoiceOptions,
): Promise<ExplainedBackend> {
  const { backend = "auto" } = options;
  const search = searchGpu(runtime, options);
  const { gpu, reason } = await chooseBackend(search, model, runtime, options);
  gpu?.device.destroy();
  return {
    reason: reason ?? `${backend}: as asked for`,
    ...(gpu && { limits: { maxBindingBytes: gpu.maxBindingBytes } }),
  };
}

/** Threads are taken to share the work without loss: where that decides, they are the safer choice. */
function judge(
  { name }: Gpu,
  times: BackendTimes,
  threads: number,
): { isFaster: boolean; found: string } {
  const wasm = times.wasm / threads;
  const shared = threads > 1 ? ` on ${threads} threads` : "";
  const both = `${times.gpu.toFixed(2)} ms on ${name}, ${wasm.toFixed(2)} ms by wasm${shared}`;
  return { isFaster: times.gpu * LEAST_GAIN < wasm, found: `${times.what}: ${both}` };
}

/** What is asked for that only the kernels have. */
function foreign({ kernel = "auto", stages = 1, budgetBytes }: ChoiceOptions): string | undefined {
  if (kernel !== "auto") return `the kernel ${kernel} was asked for`;
  if (stages > 1) return "stages were asked for";
  return budgetBytes === undefined ? undefined : "there is a memory budget";
}

/** Why there is no GPU, where that is known without asking. */
function without({ gpu }: ChoosingRuntime): string | undefined {
  return typeof gpu === "object" ? undefined : (gpu ?? "this runtime has no WebGPU");
}

/** Another backend may have room or means for it. */
export function mayFallBack(error: unknown): error is PronkError {
  const codes: readonly string[] = ["out_of_memory", "unsupported", "engine_failed"];
  return error instanceof PronkError && codes.includes(error.code);
}
