/** What a weight file holds, whatever its format: metadata, and where each tensor's bytes are. */
import type { ByteSource } from "../sources/source.ts";

/** Many strings in two arrays: string i is UTF-8 bytes[offsets[i], offsets[i + 1]). */
export interface PackedStrings {
  readonly bytes: Uint8Array;
  /** length + 1 entries, ascending. */
  readonly offsets: Uint32Array;
  readonly length: number;
}

export type MetadataArray =
  | PackedStrings
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/** 64-bit integers arrive as number where they are safe integers, else as bigint. */
export type MetadataValue = string | number | bigint | boolean | MetadataArray;

/** The element types that weights come in; names as in GGUF. */
export type TensorType =
  | "F32"
  | "F16"
  | "BF16"
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q8_0"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "IQ4_NL"
  | "IQ4_XS";

export interface TensorInfo {
  readonly name: string;
  readonly type: TensorType;
  /** Row-major, outermost first: a linear layer's weight is [outFeatures, inFeatures]. */
  readonly shape: readonly number[];
  /** The file (of a split model, the part) that holds the bytes [start, start + bytes). */
  readonly source: ByteSource;
  readonly start: number;
  readonly bytes: number;
}

export interface ModelFile {
  /** For error messages. */
  readonly name: string;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}
