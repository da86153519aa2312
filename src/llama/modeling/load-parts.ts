/** From a checkpoint, a GGUF file or a pack to a model's parts: weights on a runner whose plan ends with the model's head. */
import type { Runner } from "../../backends/backend.ts";
import { createReferenceRunner } from "../../backends/reference/reference-runner.ts";
import { selectKernel } from "../../backends/wasm/kernel-variants.ts";
import { createWasmRunner } from "../../backends/wasm/wasm-runner.ts";
import { openGgufCheckpoint } from "../../checkpoints/gguf-checkpoint.ts";
import { configNotes } from "../../engine/config-notes.ts";
import { openCheckpoint } from "../../engine/open-checkpoint.ts";
import { openGguf } from "../../engine/open-gguf.ts";
import { openPack } from "../../engine/open-pack.ts";
import type { ModelInput, OpenedModel } from "../../engine/opened-model.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import { planLlama } from "../../model/plan.ts";
import type { HeadTensors } from "../../model/tensors.ts";
import type { Quantization } from "../../pack/form-choice.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { LlamaConfig, type LlamaConfigFields } from "../llama-config.ts";
import { fitCheckpoint } from "./fitted-checkpoint.ts";
import { type HeadKind, headTensors } from "./heads.ts";
import { TapSwitch } from "./model-core.ts";
import type { ModelParts } from "./pretrained-model.ts";
import {
  type PretrainedOptions,
  type ResolvedOptions,
  resolveOptions,
} from "./pretrained-options.ts";

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
  resolved: ResolvedOptions = resolveOptions(options),
): Promise<ModelParts> {
  const { backend = "wasm", slots = DEFAULT_SLOTS, signal } = options;
  const { opened, config, tensors, ...found } = await openInput(input, head, options, resolved);
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
  const notes = [...resolved.notes, ...configNotes(opened.config, backend)];
  for (const note of notes) options.onNote?.(note);
  if (found.warning) {
    (options.onNote ?? console.warn)(found.warning);
    notes.push(found.warning);
  }
  const { missing_keys, unexpected_keys } = found;
  return {
    head,
    config,
    generationConfig,
    runner,
    taps,
    outputs: plan.outputs,
    notes,
    missing_keys,
    unexpected_keys,
  };
}

interface OpenedInput {
  readonly opened: OpenedModel;
  readonly config: LlamaConfig;
  readonly tensors: HeadTensors | null | undefined;
  readonly missing_keys?: readonly string[];
  readonly unexpected_keys?: readonly string[];
  readonly warning?: string | undefined;
}

async function openInput(
  input: ModelInput,
  head: HeadKind,
  options: PretrainedOptions,
  resolved: ResolvedOptions,
): Promise<OpenedInput> {
  const { signal } = options;
  if ("pack" in input) return openPacked(input.pack, head, resolved, signal);
  const { dtype, overrides, config: given } = resolved;
  const isPlain = (head === "none" || head === "causal-lm") && !dtype && !given;
  const sizes = { quantization: quantizationOf(resolved), profile: "default" } as const;
  if ("gguf" in input && isPlain && Object.keys(overrides).length === 0) {
    // Quantized blocks go into the forms of the kernels as they are.
    const opened = await openGguf(input.gguf, sizes, signal);
    const config = configOf(opened);
    return { opened, config, tensors: headTensors(head, config.num_labels) };
  }
  const checkpoint =
    "gguf" in input ? await openGgufCheckpoint(input.gguf, signal) : input.checkpoint;
  const fitted = fitCheckpoint(checkpoint, head, resolved, options);
  const tensors = headTensors(head, fitted.config.num_labels);
  const opened = await openCheckpoint(fitted.checkpoint, sizes, signal, tensors);
  return { ...fitted, opened, tensors };
}

/** Of what is not asked to be quantized each weight is kept; f32 as such takes four bytes of bf16, too. */
function quantizationOf({ quantization, dtype }: ResolvedOptions): Quantization {
  return quantization ?? (dtype === "F32" ? "f32" : "none");
}

/** A pack keeps the form that it has. */
async function openPacked(
  folder: SourceFolder,
  head: HeadKind,
  { quantization, dtype, overrides, config: given }: ResolvedOptions,
  signal: AbortSignal | undefined,
): Promise<OpenedInput> {
  if (head !== "causal-lm" && head !== "none") {
    throw new PronkError("unsupported", `${head}: a head is read from a checkpoint's own files`);
  }
  const opened = await openPack(folder, signal);
  const { requested } = opened.facts.quantization;
  const refuse = (param: string, what: string): PronkError =>
    new PronkError("unsupported", `${folder.name}: ${param}: ${what}`, { param });
  if (quantization !== undefined && quantization !== requested) {
    throw refuse("quantization", `the pack's weights are ${requested}, not ${quantization}`);
  }
  if (dtype !== undefined && dtype !== "auto") {
    throw refuse("dtype", `the pack's weights are ${requested} and stay so`);
  }
  const [field] = given ? ["config"] : Object.keys(overrides);
  if (field !== undefined) throw refuse(field, "the pack's configuration is its own");
  const config = configOf(opened);
  return { opened, config, tensors: headTensors(head, config.num_labels) };
}

function configOf(opened: OpenedModel): LlamaConfig {
  const { generation_config: ids } = opened.facts;
  return new LlamaConfig({ ...opened.config, ...ids } as LlamaConfigFields);
}

/** Dynamic scaling is made for more positions than the configuration names. */
function contextOf(config: LlamaConfig, asked: number | undefined): number {
  const { rope_scaling: scaling, max_position_embeddings: named } = config;
  const factor = scaling?.rope_type === "dynamic" ? Number(scaling.factor) : 1;
  const wanted = asked ?? Math.min(Math.floor(named * factor), DEFAULT_CTX);
  return Math.ceil(wanted / CTX_MULTIPLE) * CTX_MULTIPLE;
}
