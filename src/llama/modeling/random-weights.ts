/**
 * Weights of a model that was never trained, as transformers makes them: linear layers and embeddings from a
 * normal distribution of config.initializer_range, norms one, biases and the padding token's row zero.
 */
import type { Checkpoint } from "../../checkpoints/checkpoint.ts";
import { EMBEDDING, llamaTensors } from "../../model/tensors.ts";
import type { LlamaConfig } from "../llama-config.ts";
import { type HeadKind, headTensors } from "./heads.ts";
import { constantTensor, normalTensor } from "./new-tensors.ts";

/** Rows are drawn when they are read, and again when they are read again. */
export function randomCheckpoint(config: LlamaConfig, head: HeadKind, seed = 0): Checkpoint {
  const { initializer_range: deviation, pad_token_id: pad } = config;
  const all = llamaTensors(config.toModelConfig(), headTensors(head, config.num_labels));
  const tensors = all.map(({ name, shape, role }) => {
    if (role === "vector") return constantTensor(name, shape, name.endsWith(".bias") ? 0 : 1);
    return normalTensor(name, shape, deviation, seed, name === EMBEDDING ? pad : null);
  });
  return {
    name: "random weights",
    config: config.toJSON(),
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
  };
}
