// The shapes of Llama models whose sizes lie a factor of two to nine apart: hyper-parameters and vocabulary
// sizes are those of the models' own config.json; all tie their heads.
const COMMON = { model_type: "llama", rms_norm_eps: 1e-5, tie_word_embeddings: true };

/** Llama 3.2's, from 8,192 positions to 131,072. */
const LLAMA_3_2 = {
  rope_theta: 500000,
  max_position_embeddings: 131072,
  vocab_size: 128256,
  rope_scaling: {
    rope_type: "llama3",
    factor: 32,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  },
};
const SMOLLM2 = { rope_theta: 100000, max_position_embeddings: 8192, vocab_size: 49152 };

/** By name: `like`, the model; `pre`, how its tokenizer splits; `config` as in config.json. */
export const SHAPES = {
  "15m": {
    like: "stories15M",
    pre: "default",
    config: {
      ...COMMON,
      vocab_size: 32000,
      hidden_size: 288,
      intermediate_size: 768,
      num_hidden_layers: 6,
      num_attention_heads: 6,
      num_key_value_heads: 6,
      rope_theta: 10000,
      // Its own are 256; the work that is measured needs more.
      max_position_embeddings: 1024,
    },
  },
  "135m": {
    like: "SmolLM2-135M",
    pre: "smollm",
    config: {
      ...COMMON,
      ...SMOLLM2,
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
    },
  },
  "360m": {
    like: "SmolLM2-360M",
    pre: "smollm",
    config: {
      ...COMMON,
      ...SMOLLM2,
      hidden_size: 960,
      intermediate_size: 2560,
      num_hidden_layers: 32,
      num_attention_heads: 15,
      num_key_value_heads: 5,
    },
  },
  "1b": {
    like: "Llama 3.2 1B",
    pre: "llama-bpe",
    config: {
      ...COMMON,
      ...LLAMA_3_2,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 32,
      num_key_value_heads: 8,
    },
  },
  "3b": {
    like: "Llama 3.2 3B",
    pre: "llama-bpe",
    config: {
      ...COMMON,
      ...LLAMA_3_2,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_hidden_layers: 28,
      num_attention_heads: 24,
      num_key_value_heads: 8,
      head_dim: 128,
    },
  },
};
