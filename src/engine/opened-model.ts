/** A model whose index was read, not its weights: enough to plan memory, and the way to load it. */
import type { WeightedAdapter } from "../adapters/merge-lora.ts";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { HeadTensors } from "../model/tensors.ts";
import type { Digest } from "../pack/digest.ts";
import type { ImageDestination } from "../pack/image-pieces.ts";
import type { Manifest, PackedTensor } from "../pack/manifest.ts";
import type { ByteSource, SourceFolder } from "../sources/source.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/** A pack; the file (of a split model, the files) of a GGUF model; a checkpoint of floats. */
export type ModelInput = { readonly pack: SourceFolder } | SourceInput;

/** A model that is not a pack yet. `lora` is merged into a GGUF's weights; a checkpoint comes merged (`mergeLora`). */
export type SourceInput =
  | { readonly gguf: readonly ByteSource[]; readonly lora?: readonly WeightedAdapter[] }
  | { readonly checkpoint: Checkpoint };

export interface LoadProgress {
  /** Bytes of the weights in memory, of all. */
  readonly loaded: number;
  readonly total: number;
}

export interface LoadStepOptions {
  readonly signal?: AbortSignal;
  readonly digest?: Digest;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** What a manifest says beside tensors, shards and blobs. */
export type ManifestFacts = Pick<
  Manifest,
  "name" | "license" | "generation_config" | "chat_template" | "quantization" | "source"
>;

export interface OpenedModel {
  readonly facts: ManifestFacts;
  readonly config: LlamaConfig;
  /** Instead of the language model's; null: none. */
  readonly head?: HeadTensors | null | undefined;
  /** In image order. */
  readonly tensors: readonly PackedTensor[];
  readonly weightBytes: number;
  /** Fills the image; `destination` has `weightBytes` bytes, is the pieces of it that are wanted, or takes all of it. */
  loadWeights(destination: ImageDestination, options?: LoadStepOptions): Promise<void>;
  /** undefined when the model comes without one. */
  loadTokenizer(signal?: AbortSignal): Promise<Tokenizer | undefined>;
  /**
   * SHA-256 of the image's shards, in order; of a GGUF, computed from the loaded image or all of its pieces, or while
   * a sink was loaded: then `image` is that sink.
   */
  shardHashes(image: ImageDestination): Promise<readonly string[]>;
}
