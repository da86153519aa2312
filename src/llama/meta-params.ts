/** Meta's params.json to LlamaConfig and back, by the rules that reading and writing checkpoints has. */
import {
  META_DEFAULTS,
  META_SCALING,
  type MetaParams,
  metaInnerDim,
  metaParamsOf,
  metaScaling,
} from "../checkpoints/meta-rules.ts";
import { PronkError } from "../errors.ts";
import { LlamaConfig } from "./llama-config.ts";

export type { MetaParams } from "../checkpoints/meta-rules.ts";

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
  const { multiple_of = META_DEFAULTS.multiple_of, ffn_dim_multiplier } = params;
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
      rms_norm_eps: params.norm_eps ?? META_DEFAULTS.norm_eps,
      rope_theta: params.rope_theta ?? META_DEFAULTS.rope_theta,
      ...(hasVocabulary && { vocab_size: params.vocab_size }),
      ...(params.use_scaled_rope && {
        rope_scaling: metaScaling(
          params.rope_scaling_factor ?? META_SCALING.factor,
          params.rope_high_freq_factor ?? META_SCALING.high,
        ),
      }),
      ...others,
    },
    where,
  );
}

/** @throws PronkError "unsupported" for what Meta's code does not have. */
export function toMetaParams(config: LlamaConfig): MetaParams {
  return metaParamsOf(config.toModelConfig(), "params.json");
}
