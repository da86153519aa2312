/** From a checkpoint, a GGUF file or a pack to a model's parts: weights on a runner whose plan ends with the model's head. */
import type { Runner } from "../../backends/backend.ts";
import { createReferenceRunner } from "../../backends/reference/reference-runner.ts";
import { selectKernel } from "../../backends/wasm/kernel-variants.ts";
import { createWasmRunner } from "../../backends/wasm/wasm-runner.ts";
import { openCheckpoint } from "../../engine/open-checkpoint.ts";
import { openGguf } from "../../engine/open-gguf.ts";
import { openPack } from "../../engine/open-pack.ts";
import type { ModelInput, OpenedModel } from "../../engine/opened-model.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import { planLlama } from "../../model/plan.ts";
import type { HeadTensors } from "../../model/tensors.ts";
import type { Quantization } from "../../pack/form-choice.ts";
import { LlamaConfig, type LlamaConfigFields } from "../llama-config.ts";
import { type HeadKind, headTensors } from "./heads.ts";
import { TapSwitch } from "./model-core.ts";
import type { ModelParts } from "./pretrained-model.ts";

export interface PretrainedOptions {
  /** "none", the default, keeps the weights as they are and computes in f32; a pack has its own form. */
  readonly quantization?: Quantization;
  readonly backend?: "wasm" | "reference";
  /** Positions of a sequence. Default: config.max_position_embeddings, at most 2,048. */
  readonly ctx?: number;
  /** Sequences whose keys and values are kept at once: rows of a batch at most. Default 8. */
  readonly slots?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_SLOTS = 8;
const DEFAULT_CTX = 2048;
const CTX_MULTIPLE = 8;

/** Rows that run at once; fewer where their logits would take more than this. */
const MAX_ROWS = 128;
const MAX_LOGITS_BYTES = 32e6;

/**
 * A pack keeps the form that it has. Heads but the language model's are read from checkpoints.
 *
 * @throws PronkError "bad_format", "unsupported", "source_failed", "out_of_memory", "bad_request".
 */
export async function loadParts(
  input: ModelInput,
  head: HeadKind,
  runtime: Pick<Runtime, "kernels" | "now">,
  options: PretrainedOptions = {},
): Promise<ModelParts> {
  const { backend = "wasm", slots = DEFAULT_SLOTS, signal } = options;
  const { opened, config, tensors } = await openInput(input, head, options);
  const ctx = contextOf(config, options.ctx);
  const { kv } = opened.facts.quantization;
  const plan = planLlama(opened.config, {
    head: tensors,
    hiddenStates: true,
    attentions: kv === "f32",
  });
  const taps = new TapSwitch();
  const rowBytes = 4 * Math.max(1, plan.outputs);
  const maxRows = Math.max(1, Math.min(MAX_ROWS, Math.floor(MAX_LOGITS_BYTES / rowBytes)));
  const sizes = { ctx, slots, maxRows, maxLogits: maxRows, kv, masks: kv === "f32", tap: taps.tap };
  let runner: Runner;
  if (backend === "reference") {
    runner = createReferenceRunner(plan, opened.tensors, opened.weightBytes, sizes);
  } else if (backend === "wasm") {
    const kernel = selectKernel(runtime.kernels, { now: runtime.now });
    runner = createWasmRunner(plan, opened.tensors, opened.weightBytes, kernel, sizes);
  } else {
    throw new PronkError("bad_request", `backend ${backend}: wasm or reference`, {
      param: "backend",
    });
  }
  await opened.loadWeights(runner.weights, { signal });
  const { generation_config: generationConfig } = opened.facts;
  return { head, config, generationConfig, runner, taps, outputs: plan.outputs };
}

interface OpenedInput {
  readonly opened: OpenedModel;
  readonly config: LlamaConfig;
  readonly tensors: HeadTensors | null | undefined;
}

async function openInput(
  input: ModelInput,
  head: HeadKind,
  { quantization = "none", signal }: PretrainedOptions,
): Promise<OpenedInput> {
  const sizes = { quantization, profile: "default" } as const;
  if ("checkpoint" in input) {
    const { checkpoint } = input;
    const config = new LlamaConfig(checkpoint.config, `${checkpoint.name}: config.json`);
    const tensors = headTensors(head, config.num_labels);
    return { opened: await openCheckpoint(checkpoint, sizes, signal, tensors), config, tensors };
  }
  if (head !== "causal-lm" && head !== "none") {
    throw new PronkError("unsupported", `${head}: a head is read from a checkpoint's own files`);
  }
  const opened =
    "pack" in input
      ? await openPack(input.pack, signal)
      : await openGguf(input.gguf, sizes, signal);
  const { generation_config: ids } = opened.facts;
  const config = new LlamaConfig({ ...opened.config, ...ids } as LlamaConfigFields);
  return { opened, config, tensors: headTensors(head, config.num_labels) };
}

/** Dynamic scaling is made for more positions than the configuration names. */
function contextOf(config: LlamaConfig, asked: number | undefined): number {
  const { rope_scaling: scaling, max_position_embeddings: named } = config;
  const factor = scaling?.rope_type === "dynamic" ? Number(scaling.factor) : 1;
  const wanted = asked ?? Math.min(Math.floor(named * factor), DEFAULT_CTX);
  return Math.ceil(wanted / CTX_MULTIPLE) * CTX_MULTIPLE;
}
