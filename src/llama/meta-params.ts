/**
 * Meta's params.json to LlamaConfig and back.
 *
 * Source: llama/model.py of Llama 1 to 3 (ModelArgs, FeedForward) and models/llama3 of llama-models (use_scaled_rope).
 */
import { PronkError } from "../errors.ts";
import { LlamaConfig } from "./llama-config.ts";

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
const DEFAULTS = { multiple_of: 256, norm_eps: 1e-5, rope_theta: 10_000 } as const;

/** Of llama-models' apply_scaling; Llama 3.2 says 32 and 4. */
const SCALING = { factor: 8, low: 1, high: 4, original: 8192 } as const;

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

/**
 * `others` are fields that params.json does not have: vocab_size, max_position_embeddings, tie_word_embeddings and the
 * token ids.
 *
 * @throws PronkError "bad_format" naming the field.
 */
export function fromMetaParams(
  params: MetaParams,
  others: ConstructorParameters<typeof LlamaConfig>[0] = {},
): LlamaConfig {
  const where = "params.json";
  const { multiple_of = DEFAULTS.multiple_of, ffn_dim_multiplier } = params;
  for (const field of ["dim", "n_layers", "n_heads", "multiple_of"] as const) {
    const value = field === "multiple_of" ? multiple_of : params[field];
    if (!Number.isInteger(value) || value < 1) {
      throw new PronkError("bad_format", `${where}: ${field}: ${JSON.stringify(value)}`);
    }
  }
  const hasVocabulary = params.vocab_size !== undefined && params.vocab_size > 0;
  return new LlamaConfig(
    {
      hidden_size: params.dim,
      intermediate_size: metaInnerDim(params.dim, multiple_of, ffn_dim_multiplier),
      num_hidden_layers: params.n_layers,
      num_attention_heads: params.n_heads,
      num_key_value_heads: params.n_kv_heads ?? params.n_heads,
      rms_norm_eps: params.norm_eps ?? DEFAULTS.norm_eps,
      rope_theta: params.rope_theta ?? DEFAULTS.rope_theta,
      ...(hasVocabulary && { vocab_size: params.vocab_size }),
      ...(params.use_scaled_rope && {
        rope_scaling: {
          rope_type: "llama3",
          factor: params.rope_scaling_factor ?? SCALING.factor,
          low_freq_factor: SCALING.low,
          high_freq_factor: params.rope_high_freq_factor ?? SCALING.high,
          original_max_position_embeddings: SCALING.original,
        },
      }),
      ...others,
    },
    where,
  );
}

/** @throws PronkError "unsupported" for what Meta's code does not have. */
export function toMetaParams(config: LlamaConfig): MetaParams {
  const model = config.toModelConfig();
  const refuse = (field: string, value: unknown): PronkError => {
    const found = JSON.stringify(value);
    return new PronkError(
      "unsupported",
      `params.json: ${field} ${found}: Meta's code has no other`,
    );
  };
  for (const [field, expected] of Object.entries({
    hidden_act: "silu",
    attention_bias: false,
    mlp_bias: false,
    head_dim: model.hidden_size / model.num_attention_heads,
  })) {
    const found = model[field as keyof typeof model];
    if (found !== expected) throw refuse(field, found);
  }
  const scaling = model.rope_scaling;
  const isScaled = scaling?.rope_type === "llama3";
  if (scaling && !isScaled && scaling.rope_type !== "default") {
    throw refuse("rope_scaling", scaling.rope_type);
  }
  if (isScaled) {
    const { low_freq_factor: low, original_max_position_embeddings: original } = scaling;
    if (low !== SCALING.low) throw refuse("low_freq_factor", low);
    if (original !== SCALING.original) throw refuse("original_max_position_embeddings", original);
  }
  const [multiple_of, ffn_dim_multiplier] = innerRule(model.hidden_size, model.intermediate_size);
  return {
    dim: model.hidden_size,
    n_layers: model.num_hidden_layers,
    n_heads: model.num_attention_heads,
    n_kv_heads: model.num_key_value_heads,
    vocab_size: model.vocab_size,
    multiple_of,
    ...(ffn_dim_multiplier !== undefined && { ffn_dim_multiplier }),
    norm_eps: model.rms_norm_eps,
    rope_theta: model.rope_theta,
    ...(isScaled && { use_scaled_rope: true }),
    ...(isScaled && scaling.factor !== SCALING.factor && { rope_scaling_factor: scaling.factor }),
    ...(isScaled &&
      scaling.high_freq_factor !== SCALING.high && {
        rope_high_freq_factor: scaling.high_freq_factor,
      }),
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
