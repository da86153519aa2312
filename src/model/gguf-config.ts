/** GGUF metadata to a LlamaConfig. Key names: ggml's docs/gguf.md and llama.cpp's llama-arch. */
import { PronkError } from "../errors.ts";
import type { MetadataValue, ModelFile } from "../formats/model-file.ts";
import { printable } from "../formats/printable.ts";
import { type LlamaConfig, parseLlamaConfig } from "./config.ts";
import { readGgufRopeScaling } from "./gguf-rope.ts";

/** Llama itself, and Mistral, which is a Llama when it has no sliding window. */
const ARCHITECTURES = ["llama", "mistral"];

/**
 * Reads the configuration of a GGUF file.
 *
 * @throws PronkError "unsupported" for other architectures and for variants of Llama that do not
 *   run (experts, sliding windows, partial rotary embeddings); "bad_format".
 */
export async function readGgufConfig(file: ModelFile, signal?: AbortSignal): Promise<LlamaConfig> {
  const where = file.name;
  const architecture = file.metadata.get("general.architecture");
  if (typeof architecture !== "string" || !ARCHITECTURES.includes(architecture)) {
    throw new PronkError(
      "unsupported",
      `${where}: architecture ${typeof architecture === "string" ? printable(architecture) : "is not given"}; runs: ${ARCHITECTURES.join(", ")}`,
    );
  }
  const key = (name: string): MetadataValue | undefined =>
    file.metadata.get(`${architecture}.${name}`);
  const number = (name: string): number | undefined => {
    const value = key(name);
    if (value === undefined || typeof value === "number") return value;
    throw new PronkError("bad_format", `${where}: ${architecture}.${name} is not a number`);
  };
  const refuse = (why: string): PronkError => new PronkError("unsupported", `${where}: ${why}`);

  if (number("expert_count")) throw refuse(`mixture of ${number("expert_count")} experts`);
  const window = number("attention.sliding_window");
  if (window) throw refuse(`attention with a sliding window of ${window}`);

  const embedding = file.tensors.get("token_embd.weight");
  if (!embedding) throw new PronkError("bad_format", `${where}: no tensor token_embd.weight`);
  const heads = number("attention.head_count");
  const hidden = number("embedding_length");
  const headDim = number("attention.key_length") ?? (hidden ?? 0) / (heads ?? 1);
  const valueDim = number("attention.value_length") ?? headDim;
  if (valueDim !== headDim) throw refuse(`key length ${headDim} and value length ${valueDim}`);
  const rotary = number("rope.dimension_count") ?? headDim;
  if (rotary !== headDim) throw refuse(`rotary embedding of ${rotary} of ${headDim} dimensions`);

  return parseLlamaConfig(
    {
      model_type: "llama",
      vocab_size: embedding.shape[0],
      hidden_size: hidden,
      intermediate_size: number("feed_forward_length"),
      num_hidden_layers: number("block_count"),
      num_attention_heads: heads,
      num_key_value_heads: number("attention.head_count_kv") ?? heads,
      head_dim: headDim,
      max_position_embeddings: number("context_length"),
      rms_norm_eps: number("attention.layer_norm_rms_epsilon"),
      tie_word_embeddings: !file.tensors.has("output.weight"),
      rope_theta: number("rope.freq_base"),
      rope_scaling: await readGgufRopeScaling(file, architecture, headDim / 2, signal),
      attention_bias: file.tensors.has("blk.0.attn_q.bias"),
      mlp_bias: file.tensors.has("blk.0.ffn_gate.bias"),
    },
    where,
  );
}
