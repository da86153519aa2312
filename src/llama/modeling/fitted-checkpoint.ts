/**
 * A checkpoint as a model class wants it: its configuration with what was overridden, weights rounded to a dtype, and
 * a head made at random where the files have another model's.
 */
import type { Checkpoint } from "../../checkpoints/checkpoint.ts";
import { HF_DTYPES } from "../../checkpoints/dtype.ts";
import { PronkError } from "../../errors.ts";
import { castTensor } from "../../formats/cast-tensor.ts";
import type { FloatTensor, FloatType } from "../../formats/float-tensor.ts";
import { LM_HEAD, llamaTensors } from "../../model/tensors.ts";
import { LlamaConfig } from "../llama-config.ts";
import { type HeadKind, headTensors } from "./heads.ts";
import { constantTensor, normalTensor } from "./new-tensors.ts";
import { type PretrainedOptions, type ResolvedOptions, readDtype } from "./pretrained-options.ts";

export interface FittedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly config: LlamaConfig;
  /** Tensors that the files lack: made anew. */
  readonly missing_keys: readonly string[];
  /** Tensors of the files that this model does not have. */
  readonly unexpected_keys: readonly string[];
  /** For whoever loads a model with a new head. */
  readonly warning: string | undefined;
}

/** In front of Hugging Face's names: of a bare LlamaModel nothing, of the question answering head another. */
const PREFIX = /^(?:model|transformer)\./;

/** Buffers that old files have. */
const BUFFERS = /(?:rotary_emb\.inv_freq|position_ids)$/;

/** @throws PronkError as LlamaConfig; "bad_format" for a head of another shape. */
export function fitCheckpoint(
  given: Checkpoint,
  head: HeadKind,
  resolved: ResolvedOptions,
  { seed = 0, ignore_mismatched_sizes: replaces = false }: PretrainedOptions,
): FittedCheckpoint {
  const where = `${given.name}: config.json`;
  const fields = { ...(resolved.config ?? given.config), ...resolved.overrides };
  const dtype = resolved.dtype === "auto" ? storedDtype(fields, given) : resolved.dtype;
  const { torch_dtype: _, ...others } = fields as Record<string, unknown>;
  const config = new LlamaConfig({ ...others, ...dtypeField(dtype, fields) }, where);

  const tensors = new Map<string, FloatTensor>();
  for (const [name, tensor] of renamedHead(given.tensors, head)) {
    tensors.set(name, dtype ? castTensor(tensor, dtype) : tensor);
  }
  const missing: string[] = [];
  const wanted = headTensors(head, config.num_labels);
  const expected = llamaTensors(config.toModelConfig(where), wanted);
  for (const { name, shape } of expected) {
    if (!isHead(name)) continue;
    const found = tensors.get(name);
    const fits = found && String(found.shape) === String(shape);
    if (fits) continue;
    if (found && !replaces) {
      throw new PronkError(
        "bad_format",
        `${given.name}: tensor ${name}: shape [${found.shape}], expected [${shape}]; ignore_mismatched_sizes makes a new one`,
      );
    }
    missing.push(name);
    const made =
      shape.length === 1
        ? constantTensor(name, shape, 0)
        : normalTensor(name, shape, config.initializer_range, seed);
    tensors.set(name, dtype ? castTensor(made, dtype) : made);
  }
  const known = new Set(expected.map(({ name }) => name.replace(PREFIX, "")));
  if (config.tie_word_embeddings) known.add(LM_HEAD);
  const unexpected = [...tensors.keys()].filter(
    (name) => !known.has(name.replace(PREFIX, "")) && !BUFFERS.test(name),
  );
  const files = `${given.name}: some weights were not in the files and were newly initialized`;
  return {
    checkpoint: { ...given, config: { ...others, ...config.toJSON() }, tensors },
    config,
    missing_keys: missing,
    unexpected_keys: unexpected,
    warning: missing.length > 0 ? `${files}: ${missing.join(", ")} (seed ${seed})` : undefined,
  };
}

function isHead(name: string): boolean {
  return name === LM_HEAD || /^(?:score|qa_outputs)\./.test(name);
}

/** Older classes of token classification call their layer `classifier`. */
function* renamedHead(
  tensors: ReadonlyMap<string, FloatTensor>,
  head: HeadKind,
): Generator<readonly [string, FloatTensor]> {
  const hasScore = tensors.has("score.weight");
  for (const [name, tensor] of tensors) {
    const isAlias = head === "token-classification" && !hasScore && name.startsWith("classifier.");
    yield [isAlias ? name.replace("classifier.", "score.") : name, tensor];
  }
}

/** The configuration's, else that of the first weight. */
function storedDtype(
  { dtype, torch_dtype }: Readonly<Record<string, unknown>>,
  { tensors }: Checkpoint,
): FloatType | undefined {
  const named = dtype ?? torch_dtype;
  if (typeof named === "string") {
    const type = readDtype(named);
    return type === "auto" ? undefined : type;
  }
  return tensors.values().next().value?.type;
}

function dtypeField(
  dtype: FloatType | undefined,
  { dtype: own, torch_dtype }: Readonly<Record<string, unknown>>,
): { readonly dtype?: unknown } {
  const named = dtype ? HF_DTYPES[dtype] : (own ?? torch_dtype);
  return named === undefined ? {} : { dtype: named };
}
