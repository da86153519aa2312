/** A LoRA adapter whose index was read: low-rank factors of a model's modules, and tensors that replace the model's. */
import type { FloatTensor } from "../formats/float-tensor.ts";
import type { LoraConfig } from "./lora-config.ts";

/** What a module's output gets in addition: scaling * B (A x), and B's bias. */
export interface LoraModule {
  /** Hugging Face's name of it in a model with a head: `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  readonly rank: number;
  /** alpha / rank, or alpha / sqrt(rank). */
  readonly scaling: number;
  /** [rank, inputs]; of the embedding [rank, vocab_size]: a column is a token's. */
  readonly a: FloatTensor;
  /** [outputs, rank] */
  readonly b: FloatTensor;
  /** [outputs], with `lora_bias`; scaled like the product. */
  readonly bias?: FloatTensor;
}

export interface LoraAdapter {
  /** For error messages: the folder. */
  readonly name: string;
  readonly config: LoraConfig;
  /** By the module's name. */
  readonly modules: ReadonlyMap<string, LoraModule>;
  /** By Hugging Face's name of the tensor that they take the place of: modules_to_save, trained biases. */
  readonly replaced: ReadonlyMap<string, FloatTensor>;
  /**
   * Copies of the base's own weights that PEFT saves beside factors of the embedding or the head. They are not used:
   * only their shapes are compared, since others mean that the vocabulary was resized.
   */
  readonly copies: ReadonlyMap<string, FloatTensor>;
  /** Whether the configuration gives a module factors. */
  targets(module: string): boolean;
}
