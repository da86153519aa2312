/**
 * What runs a plan. A backend owns the memory of weights, KV cache and activations, allocated once
 * at its exact size; it knows nothing of tokens' text, requests or files.
 *
 * Rows of a batch belong to sequences; each sequence lives in a slot, which is its part of the KV
 * cache. The same rows give the same bits whatever else is in the batch and however a prompt is cut.
 */

import type { LoraAdapter } from "../adapters/lora-adapter.ts";

export type KvType = "int16" | "int8" | "bf16" | "f32";

/** An adapter of a runner, and how much of its change is added; what it replaces it replaces at any scale. */
export interface SpanAdapter {
  /** From `Runner.loadAdapter`. */
  readonly handle: number;
  readonly scale: number;
}

/** Consecutive rows of a batch: `count` tokens of the sequence in `slot`, from position `start`. */
export interface Span {
  readonly slot: number;
  /** The position of the first row; everything before it is in the cache. */
  readonly start: number;
  readonly count: number;
  /** (count,) rotary positions, below the context's size; the default is `start` and the next ones. */
  readonly positions?: ArrayLike<number>;
  /**
   * (count, keys) bytes: 1 where a row sees a key of the cache, else 0; by default each sees the keys up
   * to its own. A row that sees none gets zeros. Only where the runner was made with `masks`.
   */
  readonly visible?: Uint8Array;
  /**
   * Tokens that the sequence has when the text at hand is read, of which these rows may be a part: what rotary
   * scalings that depend on the length go by. Default: one more than the rows' highest position.
   */
  readonly length?: number;
  /** Run with these: their changes add up. The cache's rows before keep those with which they were run. */
  readonly adapters?: readonly SpanAdapter[];
  /** Show the rows' attention at the plan's steps that have a name for it. */
  readonly probabilities?: boolean;
}

/** What is asked of a row of logits where a runner chooses by itself. */
export type RowChoice = { readonly kind: "argmax" } | DrawChoice | LargestChoice;

/**
 * A token drawn at this temperature (above 0), as token-noise.ts says: by the logits, the seed and `index`, the number
 * of tokens before it in the output, alone. In a batch that runs ahead each further token has the next index.
 */
export interface DrawChoice {
  readonly kind: "draw";
  readonly temperature: number;
  /** 64 bits. */
  readonly seed: bigint;
  readonly index: number;
  /** Its logits are wanted, too. */
  readonly logits?: boolean;
}

/** Its largest logits, `count` of them: at most the chooser's `most`. */
export interface LargestChoice {
  readonly kind: "largest";
  readonly count: number;
  /** `LargestLogits.total` is of use, at this temperature (above 0). */
  readonly temperature?: number;
}

export interface Batch {
  /** One id a row. */
  readonly ids: ArrayLike<number>;
  /** (rows, hidden_size): takes the place of the ids' embeddings. */
  readonly embeds?: Float32Array;
  /** Cover the rows in order; no slot twice. */
  readonly spans: readonly Span[];
  /** Rows whose logits are wanted, ascending; at most `maxLogits`. */
  readonly logitsRows: readonly number[];
  /** Of these rows, which may be all, the last layer's normalised states are wanted, not the logits. */
  readonly states?: boolean;
  /** Of the logits nothing but `argmax` will be asked: a runner may then have no others. */
  readonly argmax?: boolean;
  /**
   * One for each of `logitsRows`, undefined: its logits are wanted. Only where the runner has a chooser. Default: all
   * logits are.
   */
  readonly choices?: readonly (RowChoice | undefined)[];
  /**
   * Tokens that each sequence gets, at most the chooser's `ahead`: each but the last is run in the place behind the one
   * before. Only where every span has one row, whose choice is an arg max or a draw without logits. Default 1: the next
   * token, which is not run.
   */
  readonly ahead?: number;
}

/** The largest logits of a row, from the largest on; equal ones by their ids. */
export interface LargestLogits {
  readonly ids: ArrayLike<number>;
  readonly logits: Float32Array;
  /**
   * Sum over the whole vocabulary of e^((logit - largest) / temperature), with a relative error of at most TOTAL_ERROR
   * (row-choices.ts): where a choice asks for it and the runner has it.
   */
  readonly total?: number | undefined;
}

/** Of a runner whose logits lie beside the caller's memory: reading them costs, so it chooses tokens itself. */
export interface Chooser {
  /** Tokens that a batch may give a sequence, as things are now; 1 where what a row gives depends on batches. */
  readonly ahead: number;
  /** Largest logits of a row at most. */
  readonly most: number;
  /**
   * The tokens of `logitsRows[index]`, an arg max or a draw: `batch.ahead` of them, the first that comes after the row.
   * Of equal ones the lowest id; of what is not a number any, or one outside the vocabulary.
   */
  chosen(index: number): ArrayLike<number>;
  /** Of `logitsRows[index]`, of which the largest were asked. */
  largest(index: number): LargestLogits;
}

/** A model in memory, ready to run batches. */
export interface Runner {
  /** reference, wasm or webgpu. */
  readonly backend: string;
  /** The variant: simd, m or dot for wasm; what its shaders use for webgpu. */
  readonly kernel: string;
  readonly vocab: number;
  /** Numbers of a state: hidden_size. */
  readonly width: number;
  /** Positions of a slot. */
  readonly ctx: number;
  readonly slots: number;
  /** Rows of a batch at most: the chunk size of prefill. */
  readonly maxRows: number;
  readonly maxLogits: number;
  /**
   * Whether what a row gives depends on how its text was cut into batches (dynamic and longrope scaling): then
   * nothing is run ahead, and a slot's cache serves no other text.
   */
  readonly isCutDependent?: boolean;
  readonly kv: KvType | "f16";
  /** Of the model, each with a cache of its own. */
  readonly layers: number;
  readonly memory: MemoryUse;
  /** Absent where the runner has but the caller's thread. */
  readonly threads?: ThreadUse;
  /** Settles when the threads that it has beside the caller's have started, or will not. */
  readonly ready?: Promise<void>;
  /** Where the loader puts the pack's image, before the first `forward`. */
  readonly weights: Uint8Array;
  /**
   * Runs a batch. Sizes are checked here: ids in the vocabulary, positions in the context.
   *
   * @throws PronkError "bad_request"; "engine_failed" after a trap: the runner is then useless.
   */
  forward(batch: Batch): void | Promise<void>;
  /**
   * Puts an adapter beside the weights, which stay as they are; spans name it by the handle. Each takes memory of its
   * own, given back by `unloadAdapter`.
   *
   * @throws PronkError "bad_request" when it is another base's; "unsupported" when it replaces what can only be merged;
   *   "out_of_memory" with the bytes that it needs; "source_failed"; "aborted".
   */
  loadAdapter(adapter: LoraAdapter, signal?: AbortSignal): Promise<number>;
  /** Forgets it: caches that were made with it stay valid. @throws PronkError "bad_request" when it is not loaded. */
  unloadAdapter(handle: number): void;
  /** Bytes of the adapters that are loaded, beside `memory`. */
  readonly adapterBytes: number;
  readonly chooser?: Chooser;
  /** (vocab,) logits of `logitsRows[index]`, where they were wanted: a view, valid until the next `forward`. */
  logits(index: number): Float32Array;
  /** (width,) the last layer's normalised states of `logitsRows[index]`, of a batch with `states`: a view likewise. */
  states(index: number): Float32Array;
  /** The id of the largest of the logits of a row whose logits or `argmax` was wanted; the lowest id wins a tie. */
  argmax(index: number): number;
  /** What slot `from` holds of the first `positions` is then in slot `to`, too. */
  copySlot(from: number, to: number, positions: number): void;
  /** The keys, rotated, and values of a slot's first `positions`, in f32: (kvHeads, positions, headDim) each. */
  readCache(slot: number, layer: number, positions: number): CachedLayer | Promise<CachedLayer>;
  /** Bytes that `saveCache` gives for each position. @throws PronkError "unsupported" where the caches are elsewhere. */
  readonly positionBytes: number;
  /**
   * Their bytes as this backend keeps them in a cache of this type, for `loadCache`. No batch may run before a promise
   * is kept.
   *
   * @param into memory that may be used for them, where it is large enough.
   */
  saveCache(
    slot: number,
    layer: number,
    positions: number,
    into?: ArrayBuffer,
  ): Uint8Array | Promise<Uint8Array>;
  /** @throws PronkError "bad_format" for another number of bytes than so many positions have. */
  loadCache(slot: number, layer: number, positions: number, saved: Uint8Array): void;
  dispose(): void;
}

export interface CachedLayer {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

/** How many threads compute. Only speed depends on it. */
export interface ThreadUse {
  readonly asked: number;
  /** Decoding takes so many now. */
  readonly used: number;
  /** Why, for people. */
  readonly reason: string;
}

/** Bytes, known before anything is loaded. */
export interface MemoryUse {
  readonly weights: number;
  readonly kv: number;
  readonly activations: number;
  readonly scratch: number;
  readonly total: number;
}
