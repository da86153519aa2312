/** From a checkpoint, a GGUF file or a pack to a model's parts: weights on a runner whose plan ends with the model's head. */
import { mergeLora } from "../../adapters/merge-lora.ts";
import type { Checkpoint } from "../../checkpoints/checkpoint.ts";
import { openGgufCheckpoint } from "../../checkpoints/gguf-checkpoint.ts";
import { configNotes } from "../../engine/config-notes.ts";
import { openCheckpoint } from "../../engine/open-checkpoint.ts";
import { openPack } from "../../engine/open-pack.ts";
import { openSourceInput } from "../../engine/open-source-input.ts";
import type {
  LoadProgress,
  ModelInput,
  OpenedModel,
  SourceInput,
} from "../../engine/opened-model.ts";
import { PronkError } from "../../errors.ts";
import type { HeadTensors } from "../../model/tensors.ts";
import type { Quantization } from "../../pack/form-choice.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { LlamaConfig, type LlamaConfigFields } from "../llama-config.ts";
import { zeroAddedPadding } from "./added-padding.ts";
import { fitCheckpoint } from "./fitted-checkpoint.ts";
import { type HeadKind, headTensors } from "./heads.ts";
import {
  type PretrainedOptions,
  type ResolvedOptions,
  resolveOptions,
} from "./pretrained-options.ts";
import type { ModelParts } from "./runnable-model.ts";
import { type ModelRuntime, runnerBuilder } from "./runner-build.ts";

const DEFAULT_SLOTS = 8;
const DEFAULT_CTX = 2048;
const CTX_MULTIPLE = 8;

/**
 * A pack keeps the form that it has. Without a runtime the reference backend runs. Heads but the language model's are read from checkpoints.
 *
 * @throws PronkError "bad_format", "unsupported", "source_failed", "out_of_memory", "bad_request".
 */
export async function loadParts(
  input: ModelInput,
  head: HeadKind,
  runtime: ModelRuntime | undefined,
  options: PretrainedOptions = {},
  resolved: ResolvedOptions = resolveOptions(options),
): Promise<ModelParts> {
  const { backend = "wasm", slots = DEFAULT_SLOTS, signal, onProgress: tell } = options;
  const onProgress = tell && ((at: LoadProgress): void => tell({ phase: "load", ...at }));
  const { opened, config, tensors, ...found } = await openInput(input, head, options, resolved);
  const ctx = contextOf(config, options.ctx);
  const { kv } = opened.facts.quantization;
  const build = runnerBuilder({ backend, ctx, slots, kv, head: tensors }, runtime);
  const built = await build(opened.config, {
    tensors: opened.tensors,
    weightBytes: opened.weightBytes,
    load: (destination) => opened.loadWeights(destination, { signal, onProgress }),
  });
  const { generation_config: generationConfig } = opened.facts;
  const kept = found.note === undefined ? [] : [found.note];
  const notes = [...resolved.notes, ...kept, ...configNotes(opened.config, built.runner.backend)];
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
    ...built,
    build,
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
  readonly note?: string | undefined;
}

/** Of what is asked to be quantized in another library's way. */
const KEPT_BLOCKS = "blocks of 4 bits that the GGUF file has stay as they are";

async function openInput(
  input: ModelInput,
  head: HeadKind,
  options: PretrainedOptions,
  resolved: ResolvedOptions,
): Promise<OpenedInput> {
  const { signal } = options;
  if ("pack" in input) return openPacked(input.pack, head, resolved, signal);
  const { dtype, overrides, config: given } = resolved;
  const isStored = dtype === undefined || dtype === "auto";
  const isPlain = (head === "none" || head === "causal-lm") && isStored && !given;
  const sizes = { quantization: quantizationOf(resolved), profile: "default" } as const;
  if ("gguf" in input && isPlain && Object.keys(overrides).length === 0) {
    // Quantized blocks go into the forms of the kernels as they are.
    const opened = await openSourceInput(input, sizes, signal);
    const config = configOf(opened);
    const note = resolved.notes.length > 0 ? KEPT_BLOCKS : undefined;
    return { opened, config, tensors: headTensors(head, config.num_labels), note };
  }
  const checkpoint = await checkpointOf(input, signal);
  const fitted = fitCheckpoint(checkpoint, head, resolved, options);
  const tensors = headTensors(head, fitted.config.num_labels);
  const padded = await zeroAddedPadding(fitted.checkpoint, fitted.config.pad_token_id, signal);
  const opened = await openCheckpoint(padded, sizes, signal, tensors);
  return { ...fitted, opened, tensors };
}

async function checkpointOf(
  input: SourceInput,
  signal: AbortSignal | undefined,
): Promise<Checkpoint> {
  if ("checkpoint" in input) return input.checkpoint;
  const checkpoint = await openGgufCheckpoint(input.gguf, signal);
  return input.lora ? mergeLora(checkpoint, input.lora) : checkpoint;
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
