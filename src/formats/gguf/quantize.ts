/**
 * f32 weights to GGUF's types, byte for byte as ggml's reference quantizers (quantize_row_*_ref of
 * ggml/src/ggml-quants.c), which round to the nearest code and search nothing.
 */
import { f32ToBf16, f32ToF16 } from "../half.ts";
import { TYPE_BLOCKS } from "./types.ts";

/** The types that are written. */
export type WrittenType = "F32" | "F16" | "BF16" | "Q8_0" | "Q4_0" | "Q4_1";

const BLOCK = 32;

/** Bytes of so many weights, which are whole blocks. */
export function writtenBytes(type: WrittenType, weights: number): number {
  const block = TYPE_BLOCKS[type];
  return (weights / block.elements) * block.bytes;
}

/** `out` has exactly the bytes of `values`, whose length is a multiple of the type's block. */
export function quantize(type: WrittenType, values: Float32Array, out: Uint8Array): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  switch (type) {
    case "F32":
      for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i]!, true);
      return;
    case "F16":
      for (let i = 0; i < values.length; i++) view.setUint16(2 * i, f32ToF16(values[i]!), true);
      return;
    case "BF16":
      for (let i = 0; i < values.length; i++) view.setUint16(2 * i, f32ToBf16(values[i]!), true);
      return;
    default: {
      const put = BLOCKS[type];
      const { bytes } = TYPE_BLOCKS[type];
      for (let b = 0; b < values.length / BLOCK; b++) {
        put(values.subarray(b * BLOCK, (b + 1) * BLOCK), view, b * bytes);
      }
    }
  }
}

type PutBlock = (x: Float32Array, out: DataView, at: number) => void;

const BLOCKS: Readonly<Record<"Q8_0" | "Q4_0" | "Q4_1", PutBlock>> = {
  Q8_0: putQ8Zero,
  Q4_0: putQ4Zero,
  Q4_1: putQ4One,
};

// Every operation is rounded to f32, as in C: a code at half a step depends on it.
const { fround } = Math;

function inverse(d: number): number {
  return d === 0 ? 0 : fround(1 / d);
}

function putQ8Zero(x: Float32Array, out: DataView, at: number): void {
  let largest = 0;
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  const d = fround(largest / 127);
  const id = inverse(d);
  out.setUint16(at, f32ToF16(d), true);
  for (let i = 0; i < BLOCK; i++) {
    const steps = fround(x[i]! * id);
    // roundf() takes halves away from zero.
    out.setInt8(at + 2 + i, Math.sign(steps) * Math.floor(Math.abs(steps) + 0.5));
  }
}

function putQ4Zero(x: Float32Array, out: DataView, at: number): void {
  let largest = 0;
  let extreme = 0;
  for (const value of x) {
    if (Math.abs(value) > largest) {
      largest = Math.abs(value);
      extreme = value;
    }
  }
  const d = fround(extreme / -8);
  const id = inverse(d);
  out.setUint16(at, f32ToF16(d), true);
  putNibbles(out, at + 2, (i) => fround(fround(x[i]! * id) + 8.5));
}

function putQ4One(x: Float32Array, out: DataView, at: number): void {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of x) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const d = fround(fround(high - low) / 15);
  const id = inverse(d);
  out.setUint16(at, f32ToF16(d), true);
  out.setUint16(at + 2, f32ToF16(low), true);
  putNibbles(out, at + 4, (i) => fround(fround(fround(x[i]! - low) * id) + 0.5));
}

/** Codes i and i + 16 share a byte; a code is the steps without their fraction, at most 15. */
function putNibbles(out: DataView, at: number, steps: (i: number) => number): void {
  for (let i = 0; i < BLOCK / 2; i++) {
    const first = Math.min(15, Math.trunc(steps(i)));
    const second = Math.min(15, Math.trunc(steps(i + BLOCK / 2)));
    out.setUint8(at + i, first | (second << 4));
  }
}
