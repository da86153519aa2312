/**
 * What `generate` needs of a causal model: rows of tokens that go on, and a cache of them that can be
 * cut and rearranged. Rows hold real tokens only: padding is taken away before, and positions count
 * the real tokens, as the attention mask's running sum does in the reference.
 */
import type { GenerationConfig } from "./generation-config.ts";

export interface GenerativeModel {
  readonly config: {
    readonly vocab_size: number;
    /** Columns of an embedding. */
    readonly hidden_size: number;
    readonly max_position_embeddings?: number;
  };
  /** Defaults of `generate`, as generation_config.json has them. */
  readonly generation_config: GenerationConfig;
  /**
   * What a row gives depends on how its tokens were cut into calls (dynamic and longrope scaling past
   * the original context): then nothing is run ahead.
   */
  readonly isCutDependent?: boolean;
  /**
   * Room for so many rows of so many tokens, all empty.
   *
   * @throws PronkError "context_overflow", "overloaded" when there is no such room.
   */
  createCache(rows: number, length: number): GenerationCache | Promise<GenerationCache>;
}

/** New tokens of one row. */
export interface RowInput {
  readonly row: number;
  /** Ids, or embeddings of hidden_size numbers each. At least one. */
  readonly tokens: readonly (number | Float32Array)[];
  /** How many of these tokens' logits are wanted, counted from the last; may be 0. */
  readonly logits: number;
}

/** Tokens that a model has read. */
export interface GenerationCache {
  /**
   * Reads on: each row at most once. Answers with the wanted logits of each input, (vocab_size,) a
   * token, first token first; the caller owns them.
   */
  forward(
    inputs: readonly RowInput[],
    signal?: AbortSignal,
  ): Promise<readonly (readonly Float32Array[])[]>;
  /** Row i becomes what row sources[i] is now. One source a row of the cache. */
  reorder(sources: readonly number[]): void | Promise<void>;
  /** Forgets all but the row's first `length` tokens. */
  truncate(row: number, length: number): void;
  dispose(): void;
}
