/**
 * The cards that are always there: fairseq2's of its Llama family, and one of a model that anyone
 * may download. Meta's own weights are gated, so those cards have no checkpoint until a user adds it.
 *
 * Source: fairseq2/assets/cards/models/llama.yaml (0.8.1).
 */
import { AssetCard, type AssetMetadata } from "./asset-card.ts";
import type { AssetSource } from "./asset-store.ts";

const META: AssetMetadata = {
  url: "https://ai.meta.com/llama",
  model_family: "llama",
  tokenizer_family: "llama",
};

/** A card that adds an architecture to its base. */
const sized = (base: string, model_arch: string): AssetMetadata =>
  /70b/.test(model_arch) ? { base, model_arch, num_shards: 8 } : { base, model_arch };

const CARDS: Readonly<Record<string, AssetMetadata>> = {
  llama: META,
  llama_7b: sized("llama", "7b"),

  llama2: META,
  llama2_7b: sized("llama2", "llama2_7b"),
  llama2_7b_chat: sized("llama2", "llama2_7b"),
  llama2_13b: sized("llama2", "llama2_13b"),
  llama2_13b_chat: sized("llama2", "llama2_13b"),
  llama2_70b: sized("llama2", "llama2_70b"),
  llama2_70b_chat: sized("llama2", "llama2_70b"),

  llama3: { ...META, tokenizer_config_overrides: { impl: "hg" }, use_v2_tokenizer: true },
  llama3_instruct: { base: "llama3", tokenizer_config_overrides: { use_eot: true } },
  llama3_8b: sized("llama3", "llama3_8b"),
  llama3_8b_instruct: sized("llama3_instruct", "llama3_8b"),
  llama3_70b: sized("llama3", "llama3_70b"),
  llama3_70b_instruct: sized("llama3_instruct", "llama3_70b"),
  llama3_1_8b: sized("llama3", "llama3_1_8b"),
  llama3_1_8b_instruct: sized("llama3_instruct", "llama3_1_8b"),
  llama3_1_70b: sized("llama3", "llama3_1_70b"),
  llama3_1_70b_instruct: sized("llama3_instruct", "llama3_1_70b"),
  llama3_2_1b: sized("llama3", "llama3_2_1b"),
  llama3_2_1b_instruct: sized("llama3_instruct", "llama3_2_1b"),
  llama3_2_3b: sized("llama3", "llama3_2_3b"),
  llama3_2_3b_instruct: sized("llama3_instruct", "llama3_2_3b"),
  llama3_3_70b_instruct: sized("llama3_instruct", "llama3_1_70b"),

  r1_distilled_llama3_1_8b_instruct: {
    model_family: "llama",
    model_arch: "llama3_1_8b",
    checkpoint: "hg://deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
    tokenizer: "hg://deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
    tokenizer_family: "llama",
  },

  // Known by name, so that asking for them says which family is missing.
  llama4: {
    model_family: "llama4",
    checkpoint: "https://ai.meta.com/llama/;gated=true",
    tokenizer: "https://ai.meta.com/llama/;gated=true",
    tokenizer_family: "llama4",
  },
  llama4_scout_17b_16e: { base: "llama4", model_arch: "llama4_scout_17b_16e" },
  llama4_scout_17b_16e_instruct: {
    base: "llama4_scout_17b_16e",
    tokenizer_config_overrides: { use_eot: true },
  },

  smollm2_135m_instruct: {
    model_family: "llama",
    model_config_overrides: {
      model_dim: 576,
      max_seq_len: 8192,
      vocab_size: 49152,
      tied_embeddings: true,
      num_layers: 30,
      num_attn_heads: 9,
      num_key_value_heads: 3,
      ffn_inner_dim: 1536,
      ffn_inner_dim_scale: 1,
      rope_theta: 100_000,
    },
    checkpoint: "smollm2-135m-instruct",
    tokenizer: "hg://HuggingFaceTB/SmolLM2-135M-Instruct",
    tokenizer_family: "llama",
    tokenizer_config_overrides: { impl: "hg" },
  },
};

export const BUILTIN_CARDS: AssetSource = {
  name: "the built-in cards",
  cards: Object.entries(CARDS).map(([name, metadata]) => new AssetCard(name, metadata)),
};
