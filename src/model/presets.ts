/**
 * Published Llamas by name: fairseq2's architectures, as their differences from its LLaMAConfig(), and the sizes of
 * Hugging Face's hub, as fields of config.json. Neither has weights.
 *
 * Sources: fairseq2 0.8.1, models/llama/config.py; the config.json files of meta-llama.
 */

type Fields = Readonly<Record<string, unknown>>;

const SHARDED_BY_ROWS: Fields = {
  vocab_size: 128_256,
  pad_idx: 128_004,
  rope_theta: 500_000,
  num_key_value_heads: 8,
  shard_embed_dim: false,
};
const SIZE_13B: Fields = {
  model_dim: 5120,
  num_attn_heads: 40,
  num_key_value_heads: 40,
  ffn_inner_dim: 20_480,
};
const SIZE_70B: Fields = {
  model_dim: 8192,
  num_layers: 80,
  num_attn_heads: 64,
  num_key_value_heads: 8,
  ffn_inner_dim: 32_768,
  ffn_inner_dim_multiplier: 1.3,
  ffn_inner_dim_multiple_of: 4096,
};
const SIZE_8B: Fields = { ffn_inner_dim_multiplier: 1.3, ffn_inner_dim_multiple_of: 1024 };
const LONG: Fields = { max_seq_len: 131_072, use_scaled_rope: true };
const ROPE_SCALE_32: Fields = {
  rope_scale: { factor: 32, frequency_factors: [1, 4], original_context_length: 8192 },
};

/** Of `13b` and `llama2_13b` fairseq2 has 32 layers, where the published weights have 40. */
export const FAIRSEQ2_ARCHITECTURES: Readonly<Record<string, Fields>> = {
  "7b": {},
  "13b": SIZE_13B,
  "33b": {
    model_dim: 6656,
    num_layers: 60,
    num_attn_heads: 52,
    num_key_value_heads: 52,
    ffn_inner_dim: 26_624,
  },
  "65b": {
    model_dim: 8192,
    num_layers: 80,
    num_attn_heads: 64,
    num_key_value_heads: 64,
    ffn_inner_dim: 32_768,
  },
  llama2_7b: { max_seq_len: 4096 },
  llama2_13b: { ...SIZE_13B, max_seq_len: 4096 },
  llama2_70b: { ...SIZE_70B, max_seq_len: 4096 },
  llama3_8b: { ...SHARDED_BY_ROWS, ...SIZE_8B, max_seq_len: 8192 },
  llama3_70b: { ...SHARDED_BY_ROWS, ...SIZE_70B, max_seq_len: 8192 },
  llama3_1_8b: { ...SHARDED_BY_ROWS, ...SIZE_8B, ...LONG },
  llama3_1_70b: { ...SHARDED_BY_ROWS, ...SIZE_70B, ...LONG },
  llama3_2_1b: {
    ...SHARDED_BY_ROWS,
    ...LONG,
    ...ROPE_SCALE_32,
    model_dim: 2048,
    num_layers: 16,
    ffn_inner_dim: 8192,
    ffn_inner_dim_multiplier: 1.5,
    tied_embeddings: true,
  },
  llama3_2_3b: {
    ...SHARDED_BY_ROWS,
    ...LONG,
    ...ROPE_SCALE_32,
    model_dim: 3072,
    num_layers: 28,
    num_attn_heads: 24,
    ffn_inner_dim: 12_288,
    tied_embeddings: true,
  },
};

function shape(
  hidden_size: number,
  intermediate_size: number,
  num_hidden_layers: number,
  num_attention_heads: number,
  num_key_value_heads: number = num_attention_heads,
): Fields {
  return {
    hidden_size,
    intermediate_size,
    num_hidden_layers,
    num_attention_heads,
    num_key_value_heads,
  };
}

const LLAMA1: Fields = { rms_norm_eps: 1e-6, max_position_embeddings: 2048 };
const LLAMA2: Fields = { rms_norm_eps: 1e-5, max_position_embeddings: 4096 };
const LLAMA3: Fields = {
  vocab_size: 128_256,
  bos_token_id: 128_000,
  eos_token_id: 128_001,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  max_position_embeddings: 8192,
};

function llama31(factor: number): Fields {
  return {
    ...LLAMA3,
    max_position_embeddings: 131_072,
    rope_scaling: {
      factor,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
      rope_type: "llama3",
    },
  };
}

/** By the names that their repositories have, in lower case. */
export const LLAMA_SIZES: Readonly<Record<string, Fields>> = {
  "llama-7b": { ...LLAMA1, ...shape(4096, 11_008, 32, 32) },
  "llama-13b": { ...LLAMA1, ...shape(5120, 13_824, 40, 40) },
  "llama-30b": { ...LLAMA1, ...shape(6656, 17_920, 60, 52) },
  "llama-65b": { ...LLAMA1, ...shape(8192, 22_016, 80, 64) },
  "llama-2-7b": { ...LLAMA2, ...shape(4096, 11_008, 32, 32) },
  "llama-2-13b": { ...LLAMA2, ...shape(5120, 13_824, 40, 40) },
  "llama-2-70b": { ...LLAMA2, ...shape(8192, 28_672, 80, 64, 8) },
  "llama-3-8b": { ...LLAMA3, ...shape(4096, 14_336, 32, 32, 8) },
  "llama-3-70b": { ...LLAMA3, ...shape(8192, 28_672, 80, 64, 8) },
  "llama-3.1-8b": { ...llama31(8), ...shape(4096, 14_336, 32, 32, 8) },
  "llama-3.1-70b": { ...llama31(8), ...shape(8192, 28_672, 80, 64, 8) },
  "llama-3.1-405b": { ...llama31(8), ...shape(16_384, 53_248, 126, 128, 8) },
  "llama-3.2-1b": {
    ...llama31(32),
    ...shape(2048, 8192, 16, 32, 8),
    head_dim: 64,
    tie_word_embeddings: true,
  },
  "llama-3.2-3b": {
    ...llama31(32),
    ...shape(3072, 8192, 28, 24, 8),
    head_dim: 128,
    tie_word_embeddings: true,
  },
  "llama-3.3-70b": { ...llama31(8), ...shape(8192, 28_672, 80, 64, 8) },
};
