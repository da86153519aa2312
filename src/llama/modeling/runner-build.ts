/** A model's runner, and how it is made again over other weights: new rows of the embedding change the memory's plan. */
import type { KvType, Runner } from "../../backends/backend.ts";
import { createReferenceRunner } from "../../backends/reference/reference-runner.ts";
import { selectKernel } from "../../backends/wasm/kernel-variants.ts";
import { createWasmRunner } from "../../backends/wasm/wasm-runner.ts";
import type { Backend } from "../../engine/backend-name.ts";
import { chooseBackend, searchGpu } from "../../engine/choose-backend.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import type { LlamaConfig } from "../../model/config.ts";
import { planLlama } from "../../model/plan.ts";
import type { HeadTensors } from "../../model/tensors.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import { TapSwitch } from "./model-core.ts";

/** What a runner is filled with. */
export interface ModelWeights {
  /** In image order. */
  readonly tensors: readonly PackedTensor[];
  readonly weightBytes: number;
  /** Fills the image; `destination` has `weightBytes` bytes. */
  load(destination: Uint8Array): Promise<void>;
}

export interface BuiltRunner {
  readonly runner: Runner;
  readonly taps: TapSwitch;
  /** Columns of the head. */
  readonly outputs: number;
  /** Where each weight is in the runner's image. */
  readonly tensors: readonly PackedTensor[];
  /** To be called where bytes of `runner.weights` were changed. */
  readonly changed?: (offset: number, bytes: number) => void;
}

/** @throws PronkError "out_of_memory", and what loading throws. */
export type BuildRunner = (config: LlamaConfig, weights: ModelWeights) => Promise<BuiltRunner>;

export interface RunnerSettings {
  readonly backend: Backend;
  readonly ctx: number;
  readonly slots: number;
  readonly kv: KvType;
  /** Of the model; null: none, undefined: the language model's. */
  readonly head: HeadTensors | null | undefined;
}

/** What the kernels need of a runtime, and a GPU. */
export type ModelRuntime = Pick<Runtime, "kernels" | "now" | "gpu"> &
  Partial<Pick<Runtime, "yieldTask">>;

const BACKENDS: readonly string[] = ["wasm", "reference", "webgpu", "auto"];

/** Rows that run at once; fewer where their logits would take more than this. */
const MAX_ROWS = 128;
const MAX_LOGITS_BYTES = 32e6;

/**
 * @param runtime undefined: the reference backend alone
 * @throws PronkError "bad_request" for another backend; "unsupported" for wasm without kernels, for webgpu without a GPU.
 */
export function runnerBuilder(
  { backend, ctx, slots, kv, head }: RunnerSettings,
  runtime: ModelRuntime | undefined,
): BuildRunner {
  return async (config, { tensors, weightBytes, load }) => {
    const plan = planLlama(config, { head, hiddenStates: true, attentions: kv === "f32" });
    const taps = new TapSwitch();
    const rowBytes = 4 * Math.max(1, plan.outputs);
    const maxRows = Math.max(1, Math.min(MAX_ROWS, Math.floor(MAX_LOGITS_BYTES / rowBytes)));
    const masks = kv === "f32";
    const { tap, isTapped } = taps;
    const sizes = { ctx, slots, maxRows, maxLogits: maxRows, kv, masks, tap, isTapped };
    let runner: Runner;
    if (backend === "reference") {
      runner = createReferenceRunner(plan, tensors, weightBytes, sizes);
    } else if (!BACKENDS.includes(backend)) {
      throw new PronkError("bad_request", `backend ${backend}: ${BACKENDS.join(", ")}`, {
        param: "backend",
      });
    } else if (runtime) {
      const model = { config, tensors, facts: { quantization: { kv } } };
      const search = searchGpu(runtime, { backend, threads: 1 });
      const { gpu } = await chooseBackend(search, model, runtime, { backend, threads: 1 });
      if (gpu !== undefined) {
        const { buildOnGpu } = await import("./gpu-build.ts");
        // Attention that is shown is one binding.
        const shown = masks ? 4 * config.num_attention_heads * ctx : 0;
        const most = Math.max(1, Math.min(maxRows, Math.floor(gpu.maxBindingBytes / shown)));
        const own = { ...sizes, maxRows: most, maxLogits: most };
        const made = await buildOnGpu({ plan, tensors, weightBytes, load }, gpu, runtime, own);
        return { ...made, taps, outputs: plan.outputs, tensors };
      }
      const kernel = selectKernel(runtime.kernels, { now: runtime.now });
      runner = createWasmRunner(plan, tensors, weightBytes, kernel, sizes);
    } else {
      throw new PronkError("unsupported", `backend ${backend}: this class was given no kernels`);
    }
    await load(runner.weights);
    return { runner, taps, outputs: plan.outputs, tensors };
  };
}
