/** A tensor of a checkpoint, read row by row, whatever file and layout it comes from. */

export type FloatType = "F32" | "F16" | "BF16";

export const FLOAT_BYTES: Readonly<Record<FloatType, number>> = { F32: 4, F16: 2, BF16: 2 };

/**
 * Rows are slices along the first dimension, row-major and little-endian: a vector of n has n rows of one
 * element. A join of shards, a permutation or a transposition is a FloatTensor over others.
 */
export interface FloatTensor {
  readonly name: string;
  readonly type: FloatType;
  /** Outermost first: a linear layer's weight is [outFeatures, inFeatures]. */
  readonly shape: readonly number[];
  /**
   * Fills `into` with rows [first, first + count); it has exactly their bytes.
   *
   * @throws PronkError "bad_format" naming the file and the tensor, "source_failed".
   */
  readRows(first: number, count: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
}
