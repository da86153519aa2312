/** A Llama's configuration as GGUF metadata. Key names: ggml's docs/gguf.md, llama.cpp's llama-arch. */
import { PronkError } from "../errors.ts";
import type { GgufValue } from "../formats/gguf/write-gguf.ts";
import type { LlamaConfig, RopeScaling } from "../model/config.ts";

/** @throws PronkError "unsupported" where GGUF has no words for the rope scaling or activation. */
export function configMetadata(config: LlamaConfig, where: string): Map<string, GgufValue> {
  if (config.hidden_act !== "silu") {
    throw new PronkError(
      "unsupported",
      `${where}: hidden_act ${config.hidden_act}: a GGUF Llama has silu`,
    );
  }
  const u32 = (value: number): GgufValue => ({ type: "u32", value });
  const f32 = (value: number): GgufValue => ({ type: "f32", value });
  return new Map<string, GgufValue>([
    ["general.architecture", { type: "string", value: "llama" }],
    ["llama.context_length", u32(config.max_position_embeddings)],
    ["llama.embedding_length", u32(config.hidden_size)],
    ["llama.block_count", u32(config.num_hidden_layers)],
    ["llama.feed_forward_length", u32(config.intermediate_size)],
    ["llama.attention.head_count", u32(config.num_attention_heads)],
    ["llama.attention.head_count_kv", u32(config.num_key_value_heads)],
    ["llama.attention.key_length", u32(config.head_dim)],
    ["llama.attention.value_length", u32(config.head_dim)],
    ["llama.attention.layer_norm_rms_epsilon", f32(config.rms_norm_eps)],
    ["llama.rope.freq_base", f32(config.rope_theta)],
    ["llama.rope.dimension_count", u32(config.head_dim)],
    ["llama.vocab_size", u32(config.vocab_size)],
    ...scalingMetadata(config.rope_scaling, where),
  ]);
}

function scalingMetadata(scaling: RopeScaling | null, where: string): [string, GgufValue][] {
  const type = scaling?.rope_type ?? "default";
  if (scaling?.rope_type === "linear") {
    return [
      ["llama.rope.scaling.type", { type: "string", value: "linear" }],
      ["llama.rope.scaling.factor", { type: "f32", value: scaling.factor }],
    ];
  }
  // llama3 becomes a tensor: ropeFactors().
  if (type === "default" || type === "llama3") return [];
  throw new PronkError(
    "unsupported",
    `${where}: rope_scaling ${type} is not written as GGUF; these are: default, linear, llama3`,
  );
}

/**
 * What each rotary frequency is divided by, the tensor rope_freqs.weight: (head_dim / 2,). undefined
 * where nothing is.
 *
 * Source: generate_extra_tensors() of llama.cpp's convert_hf_to_gguf.py.
 */
export function ropeFactors({
  head_dim,
  rope_theta,
  rope_scaling,
}: LlamaConfig): Float32Array | undefined {
  if (rope_scaling?.rope_type !== "llama3") return undefined;
  const { factor, low_freq_factor: low, high_freq_factor: high } = rope_scaling;
  const trained = rope_scaling.original_max_position_embeddings;
  return Float32Array.from({ length: head_dim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * rope_theta ** ((2 * i) / head_dim);
    if (wavelength < trained / high) return 1;
    if (wavelength > trained / low) return factor;
    const smooth = (trained / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
