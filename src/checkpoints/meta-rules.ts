/**
 * The rules of Meta's params.json, for whoever reads or writes it: names, defaults, the width of the feed-forward
 * layer, and what Meta's code does not have.
 *
 * Source: llama/model.py of Llama 1 to 3 (ModelArgs, FeedForward) and models/llama3 of llama-models (use_scaled_rope).
 */
import { PronkError } from "../errors.ts";
import type { LlamaConfig } from "../model/config.ts";

/** Fields of params.json; `vocab_size` is -1 where the tokenizer says it. */
export interface MetaParams {
  dim: number;
  n_layers: number;
  n_heads: number;
  n_kv_heads?: number;
  vocab_size?: number;
  multiple_of?: number;
  ffn_dim_multiplier?: number | null;
  norm_eps?: number;
  rope_theta?: number;
  use_scaled_rope?: boolean;
  rope_scaling_factor?: number;
  rope_high_freq_factor?: number;
}

/** Of ModelArgs. */
export const META_DEFAULTS = { multiple_of: 256, norm_eps: 1e-5, rope_theta: 10_000 } as const;

/** Of llama-models' apply_scaling; Llama 3.2 says 32 and 4. */
export const META_SCALING = { factor: 8, low: 1, high: 4, original: 8192 } as const;

/** What Meta's own models have: multiple_of and ffn_dim_multiplier. */
const KNOWN_RULES: readonly (readonly [number, number | undefined])[] = [
  [256, undefined],
  [4096, 1.3],
  [1024, 1.3],
  [256, 1.5],
  [1024, 1.4],
  [256, 1],
];

/** The width of the feed-forward layer: two thirds of 4 dim, multiplied, both rounded down, then up to a multiple. */
export function metaInnerDim(dim: number, multiple: number, multiplier?: number | null): number {
  let inner = Math.trunc((2 * 4 * dim) / 3);
  if (multiplier !== undefined && multiplier !== null) inner = Math.trunc(multiplier * inner);
  return multiple * Math.ceil(inner / multiple);
}

/** @throws PronkError "unsupported" naming the field, for what Meta's code does not have. */
export function metaParamsOf(config: LlamaConfig, where: string): MetaParams {
  const refuse = (field: string, value: unknown): PronkError => {
    const found = JSON.stringify(value);
    return new PronkError(
      "unsupported",
      `${where}: ${field} ${found}: Meta's code has no such thing`,
    );
  };
  const { hidden_size: dim, num_attention_heads: heads, rope_scaling: scaling } = config;
  const expected = {
    hidden_act: "silu",
    attention_bias: false,
    mlp_bias: false,
    head_dim: dim / heads,
  };
  for (const field of Object.keys(expected) as (keyof typeof expected)[]) {
    if (config[field] !== expected[field]) throw refuse(field, config[field]);
  }
  const llama3 = scaling?.rope_type === "llama3" ? scaling : undefined;
  if (scaling && !llama3 && scaling.rope_type !== "default") {
    throw refuse("rope_scaling", scaling.rope_type);
  }
  if (llama3) {
    const { low_freq_factor: low, original_max_position_embeddings: original } = llama3;
    if (low !== META_SCALING.low) throw refuse("low_freq_factor", low);
    if (original !== META_SCALING.original) {
      throw refuse("original_max_position_embeddings", original);
    }
  }
  const [multiple_of, ffn_dim_multiplier] = innerRule(dim, config.intermediate_size);
  return {
    dim,
    n_layers: config.num_hidden_layers,
    n_heads: heads,
    n_kv_heads: config.num_key_value_heads,
    vocab_size: config.vocab_size,
    multiple_of,
    ...(ffn_dim_multiplier !== undefined && { ffn_dim_multiplier }),
    norm_eps: config.rms_norm_eps,
    rope_theta: config.rope_theta,
    // Both factors, since readers take other defaults for Llama 3.2.
    ...(llama3 && {
      use_scaled_rope: true,
      rope_scaling_factor: llama3.factor,
      rope_high_freq_factor: llama3.high_freq_factor,
    }),
  };
}

/** `rope_scaling` of config.json that `use_scaled_rope` stands for. */
export function metaScaling(factor: number, high: number): Readonly<Record<string, unknown>> {
  return {
    factor,
    high_freq_factor: high,
    low_freq_factor: META_SCALING.low,
    original_max_position_embeddings: META_SCALING.original,
    rope_type: "llama3",
  };
}

/** A rule that gives this width: one of Meta's own where one does, else its largest power of two. */
function innerRule(dim: number, inner: number): readonly [number, number | undefined] {
  const known = KNOWN_RULES.find(([multiple, by]) => metaInnerDim(dim, multiple, by) === inner);
  if (known) return known;
  const multiple = inner & -inner;
  // Halfway below it, so that no rounding of the product misses it; with multiples of 1 just above.
  const target = multiple === 1 ? inner + 0.5 : inner - multiple / 2;
  return [multiple, target / Math.trunc((2 * 4 * dim) / 3)];
}
