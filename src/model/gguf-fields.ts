/**
 * A LlamaConfig as the metadata of a GGUF file, and the tensors of divisors that some scalings are kept in.
 *
 * Key names and types: ggml's docs/gguf.md and llama.cpp's convert_hf_to_gguf.py. What llama.cpp would ignore, and so
 * compute wrongly, is refused.
 */
import { PronkError } from "../errors.ts";
import type { LlamaConfig } from "./config.ts";
import { ROPE_FREQS, ROPE_LONG, ROPE_SHORT } from "./gguf-rope.ts";
import { gateActivation } from "./hidden-act.ts";
import { llama3Divisors } from "./rope.ts";
import { yarnScale } from "./rope-scaling.ts";

export interface GgufField {
  readonly key: string;
  readonly type: "uint32" | "float32" | "string";
  readonly value: number | string;
}

export interface GgufModelFields {
  readonly fields: readonly GgufField[];
  /** F32 vectors beside the weights: name and values. */
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

/** @throws PronkError "unsupported" for what GGUF's Llama cannot say: other activations, dynamic scaling. */
export function ggufModelFields(config: LlamaConfig, where: string): GgufModelFields {
  const refuse = (what: string): PronkError =>
    new PronkError("unsupported", `${where}: GGUF's Llama has no ${what}`);
  const activation = gateActivation(config.hidden_act);
  if (activation !== "silu") throw refuse(`hidden_act ${config.hidden_act}`);

  const fields: GgufField[] = [{ key: "general.architecture", type: "string", value: "llama" }];
  const vectors = new Map<string, Float32Array>();
  const integer = (name: string, value: number): void => {
    fields.push({ key: `llama.${name}`, type: "uint32", value });
  };
  const float = (name: string, value: number): void => {
    fields.push({ key: `llama.${name}`, type: "float32", value });
  };
  const text = (name: string, value: string): void => {
    fields.push({ key: `llama.${name}`, type: "string", value });
  };
  integer("block_count", config.num_hidden_layers);
  integer("context_length", config.max_position_embeddings);
  integer("embedding_length", config.hidden_size);
  integer("feed_forward_length", config.intermediate_size);
  integer("attention.head_count", config.num_attention_heads);
  integer("attention.head_count_kv", config.num_key_value_heads);
  integer("attention.key_length", config.head_dim);
  integer("attention.value_length", config.head_dim);
  float("attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  integer("vocab_size", config.vocab_size);
  integer("rope.dimension_count", config.head_dim);
  float("rope.freq_base", config.rope_theta);

  const scaling = config.rope_scaling;
  const half = config.head_dim / 2;
  switch (scaling?.rope_type) {
    case "dynamic":
      throw refuse("rope_scaling dynamic");
    case "linear":
      text("rope.scaling.type", "linear");
      float("rope.scaling.factor", scaling.factor);
      break;
    case "llama3":
      vectors.set(ROPE_FREQS, Float32Array.from(llama3Divisors(scaling, config.rope_theta, half)));
      break;
    case "yarn": {
      if (!scaling.truncate) throw refuse("rope_scaling yarn with truncate false");
      text("rope.scaling.type", "yarn");
      float("rope.scaling.factor", scaling.factor);
      integer("rope.scaling.original_context_length", scaling.original_max_position_embeddings);
      const share = scaling.attention_factor / yarnScale(scaling.factor, 1);
      if (share !== 1) float("rope.scaling.attn_factor", share);
      float("rope.scaling.yarn_beta_fast", scaling.beta_fast);
      float("rope.scaling.yarn_beta_slow", scaling.beta_slow);
      break;
    }
    case "longrope": {
      const short = Float32Array.from(scaling.short_factor);
      const long = Float32Array.from(scaling.long_factor);
      if (short.every((factor, i) => factor === long[i]) && scaling.attention_factor === 1) {
        vectors.set(ROPE_FREQS, short);
        break;
      }
      text("rope.scaling.type", "longrope");
      integer("rope.scaling.original_context_length", scaling.original_max_position_embeddings);
      float("rope.scaling.attn_factor", scaling.attention_factor);
      vectors.set(ROPE_SHORT, short);
      vectors.set(ROPE_LONG, long);
    }
  }
  return { fields, vectors };
}
