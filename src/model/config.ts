/**
 * What a Llama is made of: the fields of Hugging Face's LlamaConfig that decide the arithmetic,
 * under their own names, validated once. LlamaConfig of src/llama/ has the others too.
 *
 * Source: transformers/models/llama/configuration_llama.py (4.57).
 */
import { PronkError } from "../errors.ts";
import { printable, shown } from "../formats/printable.ts";
import { HIDDEN_ACTS, type HiddenAct, isHiddenAct } from "./hidden-act.ts";
import { hasUsableAngles } from "./rope.ts";
import { parseRopeScaling, type RopeScaling } from "./rope-scaling.ts";

export type { RopeScaling } from "./rope-scaling.ts";

export interface LlamaConfig {
  readonly model_type: "llama";
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly hidden_act: HiddenAct;
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly tie_word_embeddings: boolean;
  readonly rope_theta: number;
  readonly rope_scaling: RopeScaling | null;
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
  /** Parts in which o_proj and down_proj are summed, as in the original training; absent for 1. */
  readonly pretraining_tp?: number;
}

/** Far above any published Llama; bounds what a hostile file can make us allocate. */
const LIMITS = {
  vocab_size: 2 ** 22,
  hidden_size: 2 ** 16,
  intermediate_size: 2 ** 19,
  num_hidden_layers: 1024,
  num_attention_heads: 1024,
  num_key_value_heads: 1024,
  max_position_embeddings: 2 ** 24,
  pretraining_tp: 1024,
} as const;

/** The attention kernels' limit; Llama has 64 or 128. */
const MAX_HEAD_DIM = 256;

/**
 * Reads a config.json-like record.
 *
 * @param where for errors: `manifest.json: config`.
 * @throws PronkError "bad_format" naming the field and its value; "unsupported".
 */
export function parseLlamaConfig(
  data: Readonly<Record<string, unknown>>,
  where: string,
): LlamaConfig {
  const bad = (field: string, why: string): PronkError =>
    new PronkError("bad_format", `${where}: ${field}: ${why}`);

  const model_type = data.model_type ?? "llama";
  if (model_type !== "llama") {
    throw new PronkError(
      "unsupported",
      `${where}: model_type ${typeof model_type === "string" ? printable(model_type) : shown(model_type)}; runs: llama`,
    );
  }
  const integer = (field: keyof typeof LIMITS, fallback?: number): number => {
    const value = data[field] ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1) {
      throw bad(field, `${shown(value)} is not a positive integer`);
    }
    if (value > LIMITS[field]) throw bad(field, `${value} is over the limit of ${LIMITS[field]}`);
    return value;
  };
  const positive = (field: string, fallback: number, found: unknown = data[field]): number => {
    const value = found ?? fallback;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) {
      throw bad(field, `${shown(value)} is not a positive number`);
    }
    return value;
  };
  const flag = (field: string): boolean => {
    const value = data[field] ?? false;
    if (typeof value !== "boolean") throw bad(field, `${shown(value)} is not a boolean`);
    return value;
  };

  const hidden_size = integer("hidden_size");
  const heads = integer("num_attention_heads");
  const kvHeads = integer("num_key_value_heads", heads);
  if (heads % kvHeads !== 0) {
    throw bad("num_key_value_heads", `${kvHeads} does not divide ${heads} attention heads`);
  }
  const head_dim = data.head_dim ?? hidden_size / heads;
  if (typeof head_dim !== "number" || !Number.isInteger(head_dim) || head_dim < 2 || head_dim % 2) {
    throw bad("head_dim", `${shown(head_dim)} is not a positive even integer`);
  }
  if (head_dim > MAX_HEAD_DIM) {
    throw new PronkError("unsupported", `${where}: head_dim ${head_dim}; at most ${MAX_HEAD_DIM}`);
  }
  const hidden_act = data.hidden_act ?? "silu";
  if (!isHiddenAct(hidden_act)) {
    const runs = HIDDEN_ACTS.join(", ");
    throw new PronkError("unsupported", `${where}: hidden_act ${shown(hidden_act)}; runs: ${runs}`);
  }
  const rotated = data.partial_rotary_factor ?? 1;
  if (rotated !== 1) {
    const found = shown(rotated);
    throw new PronkError("unsupported", `${where}: partial_rotary_factor ${found}; runs: 1`);
  }
  const intermediate_size = integer("intermediate_size");
  const pretraining_tp = integer("pretraining_tp", 1);
  for (const width of [intermediate_size, heads * head_dim]) {
    if (width % pretraining_tp !== 0) {
      throw bad("pretraining_tp", `${pretraining_tp} does not divide a width of ${width}`);
    }
  }
  const max_position_embeddings = integer("max_position_embeddings", 2048);
  const ropeField = isGiven(data.rope_parameters) ? "rope_parameters" : "rope_scaling";
  const rope = data[ropeField];
  const context = {
    half: head_dim / 2,
    max_position_embeddings,
    original_max_position_embeddings: data.original_max_position_embeddings,
  };
  // transformers 5 keeps the base with the scaling
  const inner = isGiven(rope) ? (rope as { rope_theta?: unknown }).rope_theta : undefined;
  const theta = data.rope_theta ?? inner;
  const config: LlamaConfig = {
    model_type,
    vocab_size: integer("vocab_size"),
    hidden_size,
    intermediate_size,
    num_hidden_layers: integer("num_hidden_layers"),
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim,
    hidden_act: hidden_act === "swish" ? "silu" : hidden_act,
    max_position_embeddings,
    rms_norm_eps: positive("rms_norm_eps", 1e-6),
    tie_word_embeddings: flag("tie_word_embeddings"),
    rope_theta: positive("rope_theta", 10000, theta),
    rope_scaling: parseRopeScaling(rope, context, `${where}: ${ropeField}`),
    attention_bias: flag("attention_bias"),
    mlp_bias: flag("mlp_bias"),
    ...(pretraining_tp !== 1 && { pretraining_tp }),
  };
  if (!hasUsableAngles(config)) {
    throw bad(
      isGiven(rope) ? ropeField : "rope_theta",
      "rotary angles that are no numbers, or too large",
    );
  }
  return config;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
