/**
 * What a Llama is made of: the fields of Hugging Face's LlamaConfig that decide the arithmetic,
 * under their own names, validated once.
 *
 * Source: transformers/models/llama/configuration_llama.py (4.57).
 */
import { PronkError } from "../errors.ts";

/** The kinds of rotary scaling that run; others are refused by name. */
export type RopeScaling =
  | { readonly rope_type: "default" }
  | { readonly rope_type: "linear"; readonly factor: number }
  | {
      readonly rope_type: "llama3";
      readonly factor: number;
      readonly low_freq_factor: number;
      readonly high_freq_factor: number;
      readonly original_max_position_embeddings: number;
    }
  | {
      /** One divisor per frequency: GGUF's rope_freqs. Only with equal lists, which need no switch. */
      readonly rope_type: "longrope";
      readonly short_factor: readonly number[];
      readonly long_factor: readonly number[];
      readonly original_max_position_embeddings: number;
      readonly attention_factor: number;
    };

export interface LlamaConfig {
  readonly model_type: "llama";
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly hidden_act: "silu";
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly tie_word_embeddings: boolean;
  readonly rope_theta: number;
  readonly rope_scaling: RopeScaling | null;
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
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
    throw new PronkError("unsupported", `${where}: model_type ${String(model_type)}; runs: llama`);
  }
  const integer = (field: keyof typeof LIMITS, fallback?: number): number => {
    const value = data[field] ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1) {
      throw bad(field, `${show(value)} is not a positive integer`);
    }
    if (value > LIMITS[field]) throw bad(field, `${value} is over the limit of ${LIMITS[field]}`);
    return value;
  };
  const positive = (field: string, fallback: number): number => {
    const value = data[field] ?? fallback;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) {
      throw bad(field, `${show(value)} is not a positive number`);
    }
    return value;
  };
  const flag = (field: string): boolean => {
    const value = data[field] ?? false;
    if (typeof value !== "boolean") throw bad(field, `${show(value)} is not a boolean`);
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
    throw bad("head_dim", `${show(head_dim)} is not a positive even integer`);
  }
  if (head_dim > MAX_HEAD_DIM) {
    throw new PronkError("unsupported", `${where}: head_dim ${head_dim}; at most ${MAX_HEAD_DIM}`);
  }
  const hidden_act = data.hidden_act ?? "silu";
  if (hidden_act !== "silu") {
    throw new PronkError("unsupported", `${where}: hidden_act ${show(hidden_act)}; runs: silu`);
  }
  return {
    model_type,
    vocab_size: integer("vocab_size"),
    hidden_size,
    intermediate_size: integer("intermediate_size"),
    num_hidden_layers: integer("num_hidden_layers"),
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim,
    hidden_act,
    max_position_embeddings: integer("max_position_embeddings", 2048),
    rms_norm_eps: positive("rms_norm_eps", 1e-6),
    tie_word_embeddings: flag("tie_word_embeddings"),
    rope_theta: positive("rope_theta", 10000),
    rope_scaling: parseRopeScaling(data.rope_scaling ?? null, head_dim / 2, where),
    attention_bias: flag("attention_bias"),
    mlp_bias: flag("mlp_bias"),
  };
}

function parseRopeScaling(value: unknown, half: number, where: string): RopeScaling | null {
  if (value === null) return null;
  const bad = (why: string): PronkError =>
    new PronkError("bad_format", `${where}: rope_scaling: ${why}`);
  if (typeof value !== "object") throw bad(`${show(value)} is not an object`);
  const data = value as Record<string, unknown>;
  const number = (field: string): number => {
    const found = data[field];
    if (typeof found !== "number" || !(found > 0) || !Number.isFinite(found)) {
      throw bad(`${field}: ${show(found)} is not a positive number`);
    }
    return found;
  };
  const factors = (field: string): number[] => {
    const found = data[field];
    if (
      !Array.isArray(found) ||
      found.length !== half ||
      !found.every((x) => typeof x === "number" && x > 0 && Number.isFinite(x))
    ) {
      throw bad(`${field}: not a list of ${half} positive numbers`);
    }
    return found;
  };
  const rope_type = data.rope_type ?? data.type ?? "default";
  switch (rope_type) {
    case "default":
      return { rope_type: "default" };
    case "linear":
      return { rope_type: "linear", factor: number("factor") };
    case "llama3":
      return {
        rope_type: "llama3",
        factor: number("factor"),
        low_freq_factor: number("low_freq_factor"),
        high_freq_factor: number("high_freq_factor"),
        original_max_position_embeddings: number("original_max_position_embeddings"),
      };
    case "longrope": {
      const short_factor = factors("short_factor");
      const long_factor = factors("long_factor");
      if (short_factor.some((factor, i) => factor !== long_factor[i])) {
        const what = "longrope with different short and long factors";
        throw new PronkError("unsupported", `${where}: rope_scaling: ${what}`);
      }
      return {
        rope_type: "longrope",
        short_factor,
        long_factor,
        original_max_position_embeddings: number("original_max_position_embeddings"),
        attention_factor: number("attention_factor"),
      };
    }
    default:
      throw new PronkError(
        "unsupported",
        `${where}: rope_scaling type ${show(rope_type)}; runs: default, linear, llama3, longrope`,
      );
  }
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}
