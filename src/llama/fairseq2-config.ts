/**
 * fairseq2's LLaMAConfig, under its own name and field names, to LlamaConfig and back.
 *
 * Source: fairseq2 0.8.1, models/llama/config.py; its quirks are kept: the 13B architectures have 32 layers, RMSNorm's
 * epsilon is 1e-5 whatever a checkpoint says, and the base of the rotation tells which tokens begin and end a text.
 */
import { configFromFairseq2 } from "../checkpoints/fairseq2-config.ts";
import { PronkError } from "../errors.ts";
import { FAIRSEQ2_ARCHITECTURES } from "../model/presets.ts";
import { LlamaConfig } from "./llama-config.ts";

/** Of its RMSNorm. */
const RMS_NORM_EPS = 1e-5;

export interface LLaMARoPEScaleConfig {
  readonly factor: number;
  /** Of the lowest and the highest frequency that is scaled in part. */
  readonly frequency_factors: readonly [number, number];
  readonly original_context_length: number;
}

export class LLaMAConfig {
  model_dim = 4096;
  max_seq_len = 2048;
  vocab_size = 32_000;
  pad_idx: number | null = null;
  tied_embeddings = false;
  num_layers = 32;
  num_attn_heads = 32;
  num_key_value_heads = 32;
  ffn_inner_dim: number = 4096 * 4;
  ffn_inner_dim_scale: number = 2 / 3;
  ffn_inner_dim_multiplier = 1;
  ffn_inner_dim_multiple_of = 256;
  rope_theta = 10_000;
  use_scaled_rope = false;
  rope_scale: LLaMARoPEScaleConfig = {
    factor: 8,
    frequency_factors: [1, 4],
    original_context_length: 8192,
  };
  /** Kept; nothing is trained here. */
  dropout_p = 0;
  init_std: number | null = null;
  init_std_scale: "none" | "layer" | "stack" = "layer";
  shard_embed_dim = true;

  /** @throws PronkError "bad_format" for a field that fairseq2 does not have, or of another kind. */
  constructor(fields: Readonly<Partial<Record<keyof LLaMAConfig, unknown>>> = {}) {
    for (const [name, value] of Object.entries(fields)) {
      const own = this[name as keyof LLaMAConfig];
      const isNullable = name === "pad_idx" || name === "init_std";
      if (!Object.hasOwn(this, name)) {
        throw new PronkError("bad_format", `LLaMAConfig: ${name} is no field of it`);
      }
      if (isNullable ? value !== null && typeof value !== "number" : typeof value !== typeof own) {
        throw new PronkError("bad_format", `LLaMAConfig: ${name}: ${JSON.stringify(value)}`);
      }
    }
    Object.assign(this, fields);
  }

  /** One of fairseq2's architectures: `7b`, `llama3_2_1b`. */
  static fromArch(name: string): LLaMAConfig {
    if (Object.hasOwn(FAIRSEQ2_ARCHITECTURES, name)) {
      return new LLaMAConfig(FAIRSEQ2_ARCHITECTURES[name]);
    }
    const known = Object.keys(FAIRSEQ2_ARCHITECTURES).join(", ");
    throw new PronkError("not_found", `no architecture of fairseq2 is ${name}; known: ${known}`);
  }
}

/** @throws PronkError "bad_format" naming the field. */
export function fromFairseq2(
  config: Readonly<Partial<Record<keyof LLaMAConfig, unknown>>>,
): LlamaConfig {
  return new LlamaConfig(configFromFairseq2({ ...config }, "LLaMAConfig"), "LLaMAConfig");
}

/** @throws PronkError "unsupported" for what fairseq2's Llama does not have. */
export function toFairseq2(config: LlamaConfig): LLaMAConfig {
  const refuse = (field: string, value: unknown): PronkError => {
    const found = JSON.stringify(value);
    return new PronkError("unsupported", `LLaMAConfig: ${field} ${found}: fairseq2 has no other`);
  };
  const model = config.toModelConfig();
  for (const [field, expected] of Object.entries({
    hidden_act: "silu",
    rms_norm_eps: RMS_NORM_EPS,
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
  return new LLaMAConfig({
    model_dim: model.hidden_size,
    max_seq_len: model.max_position_embeddings,
    vocab_size: model.vocab_size,
    pad_idx: config.pad_token_id,
    tied_embeddings: model.tie_word_embeddings,
    num_layers: model.num_hidden_layers,
    num_attn_heads: model.num_attention_heads,
    num_key_value_heads: model.num_key_value_heads,
    // As it is, instead of a rule that gives it.
    ffn_inner_dim: model.intermediate_size,
    ffn_inner_dim_scale: 1,
    ffn_inner_dim_multiplier: 1,
    ffn_inner_dim_multiple_of: 1,
    rope_theta: model.rope_theta,
    ...(isScaled && {
      use_scaled_rope: true,
      rope_scale: {
        factor: scaling.factor,
        frequency_factors: [scaling.low_freq_factor, scaling.high_freq_factor],
        original_context_length: scaling.original_max_position_embeddings,
      },
    }),
  });
}
