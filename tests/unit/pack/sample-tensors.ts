/** Tensors and rows for tests: made by a generator that gives the same values everywhere. */

import { TYPE_BLOCKS } from "../../../src/formats/gguf/types.ts";
import { bf16ToF32, f32ToBf16 } from "../../../src/formats/half.ts";
import type { TensorInfo, TensorType } from "../../../src/formats/model-file.ts";
import { memorySource } from "../../../src/sources/memory.ts";

/** Integers in [0, 2^32): Numerical Recipes' linear congruential generator, upper bits mixed in. */
export function randomIntegers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
}

/** Weights of about the size and spread that models have; each is an f32 exactly. */
export function randomWeights(count: number, seed: number): Float32Array {
  const next = randomIntegers(seed);
  return Float32Array.from({ length: count }, () => {
    const sum = (next() >>> 12) + (next() >>> 12) + (next() >>> 12) - 1.5 * 2 ** 20;
    return sum / 2 ** 24;
  });
}

export function f32Tensor(name: string, shape: number[], values: Float32Array): TensorInfo {
  const bytes = new Uint8Array(values.slice().buffer);
  return tensorOf(name, "F32", shape, bytes);
}

export function bf16Tensor(name: string, shape: number[], values: Float32Array): TensorInfo {
  const bits = Uint16Array.from(values, (value) => f32ToBf16(value));
  return tensorOf(name, "BF16", shape, new Uint8Array(bits.buffer));
}

/** The tensor lies behind 7 bytes of something else, so that nothing is aligned by luck. */
export function tensorOf(
  name: string,
  type: TensorType,
  shape: number[],
  bytes: Uint8Array,
): TensorInfo {
  const file = new Uint8Array(7 + bytes.length);
  file.set(bytes, 7);
  return {
    name,
    type,
    shape,
    source: memorySource(file, "sample.gguf"),
    start: 7,
    bytes: bytes.length,
  };
}

/** Where a block of each quantized type keeps its f16 numbers. */
const HALVES: Partial<Record<TensorType, readonly number[]>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ4_NL: [0],
  IQ4_XS: [0],
};

/**
 * Blocks with every other bit random and these f16 numbers (their bits, cycled through).
 */
export function randomBlocks(
  type: TensorType,
  weights: number,
  seed: number,
  halves: readonly number[],
): Uint8Array {
  const { elements, bytes } = TYPE_BLOCKS[type];
  const next = randomIntegers(seed);
  const out = Uint8Array.from({ length: (weights / elements) * bytes }, () => next() & 255);
  const view = new DataView(out.buffer);
  let used = 0;
  for (let block = 0; block < out.length; block += bytes) {
    for (const at of HALVES[type] ?? []) {
      view.setUint16(block + at, halves[used++ % halves.length], true);
    }
  }
  return out;
}

export function nearestBf16(value: number): number {
  return bf16ToF32(f32ToBf16(value));
}
