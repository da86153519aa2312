/** The tensors of a Llama: Hugging Face's names, shapes, and where GGUF keeps each. */
import type { LlamaConfig } from "./config.ts";

export interface ModelTensor {
  /** Hugging Face's name: `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  /** [rows, cols] of a matrix, [length] of a vector. */
  readonly shape: readonly number[];
  readonly role: "embedding" | "matrix" | "vector";
  /** GGUF's name: `blk.0.attn_q.weight`. */
  readonly gguf: string;
  /**
   * Heads whose rows GGUF keeps as interleaved pairs (2i, 2i + 1) where Hugging Face has halves
   * (i, i + head_dim / 2); 0 where the row order is the same.
   */
  readonly rotaryHeads: number;
}

/** Names of the tensors that are not in a layer. */
export const EMBEDDING = "model.embed_tokens.weight";
export const FINAL_NORM = "model.norm.weight";
export const LM_HEAD = "lm_head.weight";

export function layerTensor(layer: number, part: string): string {
  return `model.layers.${layer}.${part}`;
}

/** A linear layer over the last states, instead of the language model's. */
export interface HeadTensors {
  readonly weight: string;
  readonly bias?: string;
  /** Outputs. */
  readonly rows: number;
}

/**
 * In the order of use: embedding, layers, final norm, head: by default the language model's, which is absent
 * when tied to the embedding; null: none.
 */
export function llamaTensors(config: LlamaConfig, head?: HeadTensors | null): ModelTensor[] {
  const { hidden_size: dim, intermediate_size: ffn, head_dim, vocab_size: vocab } = config;
  const heads = config.num_attention_heads;
  const kvHeads = config.num_key_value_heads;
  const tensors: ModelTensor[] = [];
  const add = (
    name: string,
    gguf: string,
    shape: number[],
    role: ModelTensor["role"] = shape.length === 1 ? "vector" : "matrix",
    rotaryHeads = 0,
  ): void => {
    tensors.push({ name, gguf, shape, role, rotaryHeads });
  };

  add(EMBEDDING, "token_embd.weight", [vocab, dim], "embedding");
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const linear = (
      part: string,
      gguf: string,
      shape: [number, number],
      bias: boolean,
      rotaryHeads = 0,
    ): void => {
      const name = layerTensor(i, part);
      add(`${name}.weight`, `blk.${i}.${gguf}.weight`, shape, "matrix", rotaryHeads);
      if (bias) add(`${name}.bias`, `blk.${i}.${gguf}.bias`, [shape[0]], "vector", rotaryHeads);
    };
    const { attention_bias, mlp_bias } = config;
    add(layerTensor(i, "input_layernorm.weight"), `blk.${i}.attn_norm.weight`, [dim]);
    linear("self_attn.q_proj", "attn_q", [heads * head_dim, dim], attention_bias, heads);
    linear("self_attn.k_proj", "attn_k", [kvHeads * head_dim, dim], attention_bias, kvHeads);
    linear("self_attn.v_proj", "attn_v", [kvHeads * head_dim, dim], attention_bias);
    linear("self_attn.o_proj", "attn_output", [dim, heads * head_dim], attention_bias);
    add(layerTensor(i, "post_attention_layernorm.weight"), `blk.${i}.ffn_norm.weight`, [dim]);
    linear("mlp.gate_proj", "ffn_gate", [ffn, dim], mlp_bias);
    linear("mlp.up_proj", "ffn_up", [ffn, dim], mlp_bias);
    linear("mlp.down_proj", "ffn_down", [dim, ffn], mlp_bias);
  }
  add(FINAL_NORM, "output_norm.weight", [dim]);
  if (head) {
    add(head.weight, head.weight, [head.rows, dim], "embedding");
    if (head.bias) add(head.bias, head.bias, [head.rows]);
  } else if (head === undefined && !config.tie_word_embeddings) {
    add(LM_HEAD, "output.weight", [vocab, dim], "embedding");
  }
  return tensors;
}

/** Output row i is GGUF's row order[i]: pairs (2i, 2i + 1) of each head become halves. */
export function rotaryRowOrder(heads: number, headDim: number): Int32Array {
  const order = new Int32Array(heads * headDim);
  const half = headDim / 2;
  for (let row = 0; row < order.length; row++) {
    const i = row % headDim;
    order[row] = row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
  }
  return order;
}
