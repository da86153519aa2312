/** A checkpoint of any library, seen as Hugging Face would have saved it. */
import type { FloatTensor } from "../formats/float-tensor.ts";

export interface Checkpoint {
  /** For error messages: a path or URL; never a credential. */
  readonly name: string;
  /** The fields of config.json, unchecked: `parseLlamaConfig` reads them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By Hugging Face's name (`model.layers.0.self_attn.q_proj.weight`), q and k rows in halves. */
  readonly tensors: ReadonlyMap<string, FloatTensor>;
  /** The fields of generation_config.json, where there is one. */
  readonly generation_config?: Readonly<Record<string, unknown>>;
  /**
   * Other files that belong to it, by file name: tokenizer.json, tokenizer_config.json,
   * special_tokens_map.json, tokenizer.model, chat_template.jinja.
   */
  readonly files?: ReadonlyMap<string, CheckpointFile>;
}

/** A whole small file. */
export interface CheckpointFile {
  /** Its bytes, if they are known without reading it. */
  readonly size?: number;
  /** @throws PronkError "source_failed", "aborted". */
  read(signal?: AbortSignal): Promise<Uint8Array>;
}
