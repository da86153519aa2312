/** fairseq2's LLaMAConfig as Hugging Face's config.json, as its own `to_hg_config` has it. */
import { PronkError } from "../errors.ts";

/** LLaMAConfig() of fairseq2 0.8.1. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  model_dim: 4096,
  max_seq_len: 2048,
  vocab_size: 32000,
  pad_idx: null,
  tied_embeddings: false,
  num_layers: 32,
  num_attn_heads: 32,
  num_key_value_heads: 32,
  ffn_inner_dim: 4096 * 4,
  ffn_inner_dim_scale: 2 / 3,
  ffn_inner_dim_multiplier: 1,
  ffn_inner_dim_multiple_of: 256,
  rope_theta: 10_000,
  use_scaled_rope: false,
};

/** Of its RMSNorm, which LLaMAConfig has no field for. */
const RMS_NORM_EPS = 1e-5;

/** Of Llama 3, by whose vocabulary `to_hg_config` tells which tokens begin and end a text. */
const LLAMA_3_THETA = 500_000;

/** @throws PronkError "bad_format" naming the field. */
export function configFromFairseq2(
  given: Readonly<Record<string, unknown>>,
  where: string,
): Readonly<Record<string, unknown>> {
  const fields = { ...DEFAULTS, ...given };
  const bad = (key: string, value: unknown): PronkError =>
    new PronkError("bad_format", `${where}: config.json: ${key}: ${JSON.stringify(value)}`);
  const real = (key: string, from: Readonly<Record<string, unknown>> = fields): number => {
    const value = from[key];
    if (typeof value === "number" && value > 0 && Number.isFinite(value)) return value;
    throw bad(key, value);
  };
  const size = (key: string, from?: Readonly<Record<string, unknown>>): number => {
    const value = real(key, from);
    if (Number.isSafeInteger(value)) return value;
    throw bad(key, value);
  };
  const heads = size("num_attn_heads");
  const hidden = size("model_dim");
  if (hidden % (2 * heads) !== 0) throw bad("num_attn_heads", heads);
  const llama3 = real("rope_theta") === LLAMA_3_THETA;
  return {
    architectures: ["LlamaForCausalLM"],
    bos_token_id: llama3 ? 128_000 : 1,
    eos_token_id: llama3 ? 128_001 : 2,
    head_dim: hidden / heads,
    hidden_act: "silu",
    hidden_size: hidden,
    intermediate_size: innerDim(size, real),
    max_position_embeddings: size("max_seq_len"),
    model_type: "llama",
    num_attention_heads: heads,
    num_hidden_layers: size("num_layers"),
    num_key_value_heads: size("num_key_value_heads"),
    ...(fields.pad_idx !== null && { pad_token_id: fields.pad_idx }),
    rms_norm_eps: RMS_NORM_EPS,
    rope_scaling: fields.use_scaled_rope === true ? ropeScaling(fields, real, bad) : null,
    rope_theta: real("rope_theta"),
    tie_word_embeddings: fields.tied_embeddings === true,
    vocab_size: size("vocab_size"),
  };
}

type Field = (key: string, from?: Readonly<Record<string, unknown>>) => number;

/** As the GLU feed-forward network rounds it: down to an integer twice, then up to a multiple. */
function innerDim(size: Field, real: Field): number {
  const scaled = Math.trunc(size("ffn_inner_dim") * real("ffn_inner_dim_scale"));
  const inner = Math.trunc(scaled * real("ffn_inner_dim_multiplier"));
  const multiple = size("ffn_inner_dim_multiple_of");
  return multiple * Math.ceil(inner / multiple);
}

function ropeScaling(
  fields: Readonly<Record<string, unknown>>,
  real: Field,
  bad: (key: string, value: unknown) => PronkError,
): Readonly<Record<string, unknown>> {
  // LLaMARoPEScaleConfig() of fairseq2 0.8.1.
  const defaults = { factor: 8, frequency_factors: [1, 4], original_context_length: 8192 };
  const scale: Readonly<Record<string, unknown>> = {
    ...defaults,
    ...(fields.rope_scale as Record<string, unknown> | undefined),
  };
  const factors = scale.frequency_factors;
  if (!Array.isArray(factors) || factors.length !== 2) throw bad("frequency_factors", factors);
  return {
    factor: real("factor", scale),
    high_freq_factor: real("1", factors as never),
    low_freq_factor: real("0", factors as never),
    original_max_position_embeddings: real("original_context_length", scale),
    rope_type: "llama3",
  };
}
