/**
 * The element types of GGUF: their numbers in files, and the blocks that their bytes come in.
 *
 * Source: enum ggml_type in ggml/include/ggml.h and the block structs of ggml/src/ggml-common.h.
 */
import type { TensorType } from "../model-file.ts";

export interface TypeBlock {
  /** Weights of a block. */
  readonly elements: number;
  /** Bytes that hold them. */
  readonly bytes: number;
}

/** The blocks of every type that runs. */
export const TYPE_BLOCKS: Readonly<Record<TensorType, TypeBlock>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q2_K: { elements: 256, bytes: 84 },
  Q3_K: { elements: 256, bytes: 110 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
  IQ4_NL: { elements: 32, bytes: 18 },
  IQ4_XS: { elements: 256, bytes: 136 },
};

/** Every name that ggml has given to a type number, those it has removed included. */
const TYPE_NAMES: readonly string[] = [
  ...["F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1"], // 0-9
  ...["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S"],
  ...["IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M"], // 20-29
  ...["BF16", "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8"],
  ...["IQ4_NL_8_8", "MXFP4", "NVFP4", "Q1_0", "Q2_0"], // 38-42
];

/** What ggml calls this type number; undefined for numbers that it has not given out. */
export function typeName(type: number): string | undefined {
  return TYPE_NAMES[type];
}

export function isTensorType(name: string | undefined): name is TensorType {
  return name !== undefined && Object.hasOwn(TYPE_BLOCKS, name);
}

/** The number of a type in files. */
export function typeNumber(type: TensorType): number {
  return TYPE_NAMES.indexOf(type);
}
