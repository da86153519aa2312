/**
 * Quantized weights to f32, bit for bit as ggml does it.
 *
 * Blocks are read byte by byte, so views need no alignment. All sums and products below are exact
 * in f64 (at most 51 bits: an f16 scale has 11, the rest are small integers), so the store into f32
 * is the only rounding, as in ggml.
 * Layouts: ggml/src/ggml-common.h. Oracle: dequantize_row_* in ggml/src/ggml-quants.c.
 */
import { PronkError } from "../../errors.ts";
import { f16ToF32 } from "../half.ts";
import type { TensorType } from "../model-file.ts";
import { TYPE_BLOCKS } from "./types.ts";

/** Fills `out` from whole blocks; both lengths were checked. */
type Dequantizer = (bytes: Uint8Array, out: Float32Array) => void;

/**
 * Turns the bytes of whole blocks into weights; `out.length` says how many.
 *
 * @throws PronkError "bad_request" when `bytes` are not exactly the blocks of `out.length` weights.
 */
export function dequantize(type: TensorType, bytes: Uint8Array, out: Float32Array): void {
  const block = TYPE_BLOCKS[type];
  if (
    out.length % block.elements !== 0 ||
    bytes.length !== (out.length / block.elements) * block.bytes
  ) {
    throw new PronkError(
      "bad_request",
      `dequantize: ${bytes.length} bytes of ${type} are not ${out.length} weights`,
    );
  }
  DEQUANTIZERS[type](bytes, out);
}

const DEQUANTIZERS: Readonly<Record<TensorType, Dequantizer>> = {
  F32: dequantizeF32,
  F16: dequantizeF16,
  BF16: dequantizeBf16,
  Q4_0: dequantizeQ4Zero,
  Q4_1: dequantizeQ4One,
  Q5_0: dequantizeQ5Zero,
  Q5_1: dequantizeQ5One,
  Q8_0: dequantizeQ8Zero,
  Q2_K: dequantizeQ2K,
  Q3_K: dequantizeQ3K,
  Q4_K: dequantizeQ4K,
  Q5_K: dequantizeQ5K,
  Q6_K: dequantizeQ6K,
  IQ4_NL: dequantizeIq4Nl,
  IQ4_XS: dequantizeIq4Xs,
};

/** The 16 levels of the IQ4 types. */
export const IQ4_LEVELS: Int8Array = Int8Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
);

function halfAt(b: Uint8Array, at: number): number {
  return f16ToF32(b[at]! | (b[at + 1]! << 8));
}

function dequantizeF32(b: Uint8Array, out: Float32Array): void {
  // Little-endian, as is every platform with WebAssembly.
  new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(b);
}

function dequantizeF16(b: Uint8Array, out: Float32Array): void {
  const bits = new Int32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0, p = 0; i < out.length; i++, p += 2) {
    const high = b[p + 1]!;
    const magnitude = b[p]! | ((high & 0x7f) << 8);
    const sign = (high & 0x80) << 24;
    // Normal numbers: the exponent's bias goes from 15 to 127. The others are rare.
    if (magnitude >= 0x400 && magnitude < 0x7c00) bits[i] = sign | ((magnitude << 13) + 0x38000000);
    else if (magnitude >= 0x7c00) bits[i] = sign | 0x7f800000 | ((magnitude & 0x3ff) << 13);
    else out[i] = halfAt(b, p);
  }
}

function dequantizeBf16(b: Uint8Array, out: Float32Array): void {
  const bits = new Int32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0, p = 0; i < out.length; i++, p += 2) {
    bits[i] = (b[p]! << 16) | (b[p + 1]! << 24);
  }
}

// Q4_0: d, then 16 bytes with weights j and j + 16. w = d * (q - 8)
function dequantizeQ4Zero(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; o += 32, p += 18) {
    const d = halfAt(b, p);
    for (let j = 0; j < 16; j++) {
      const q = b[p + 2 + j]!;
      out[o + j] = d * ((q & 15) - 8);
      out[o + 16 + j] = d * ((q >> 4) - 8);
    }
  }
}

// Q4_1: d, m, then as Q4_0. w = d * q + m
function dequantizeQ4One(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; o += 32, p += 20) {
    const d = halfAt(b, p);
    const m = halfAt(b, p + 2);
    for (let j = 0; j < 16; j++) {
      const q = b[p + 4 + j]!;
      out[o + j] = d * (q & 15) + m;
      out[o + 16 + j] = d * (q >> 4) + m;
    }
  }
}

// Q5_0: d, 32 fifth bits, then as Q4_0. w = d * (q - 16)
function dequantizeQ5Zero(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; o += 32, p += 22) {
    const d = halfAt(b, p);
    const low = b[p + 2]! | (b[p + 3]! << 8);
    const high = b[p + 4]! | (b[p + 5]! << 8);
    for (let j = 0; j < 16; j++) {
      const q = b[p + 6 + j]!;
      out[o + j] = d * (((q & 15) | (((low >> j) & 1) << 4)) - 16);
      out[o + 16 + j] = d * (((q >> 4) | (((high >> j) & 1) << 4)) - 16);
    }
  }
}

// Q5_1: d, m, 32 fifth bits, then as Q4_0. w = d * q + m
function dequantizeQ5One(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; o += 32, p += 24) {
    const d = halfAt(b, p);
    const m = halfAt(b, p + 2);
    const low = b[p + 4]! | (b[p + 5]! << 8);
    const high = b[p + 6]! | (b[p + 7]! << 8);
    for (let j = 0; j < 16; j++) {
      const q = b[p + 8 + j]!;
      out[o + j] = d * ((q & 15) | (((low >> j) & 1) << 4)) + m;
      out[o + 16 + j] = d * ((q >> 4) | (((high >> j) & 1) << 4)) + m;
    }
  }
}

// Q8_0: d, then 32 signed bytes. w = d * q
function dequantizeQ8Zero(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; o += 32, p += 34) {
    const d = halfAt(b, p);
    for (let j = 0; j < 32; j++) out[o + j] = d * ((b[p + 2 + j]! << 24) >> 24);
  }
}

// Q2_K: 16 bytes of 4-bit scale and minimum per 16 weights, 64 bytes of 2-bit q, d, dmin.
// w = d * scale * q - dmin * minimum
function dequantizeQ2K(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; p += 84) {
    const d = halfAt(b, p + 80);
    const dmin = halfAt(b, p + 82);
    for (let group = 0; group < 16; group++, o += 16) {
      const scale = d * (b[p + group]! & 15);
      const minimum = dmin * (b[p + group]! >> 4);
      // 128 weights share 32 bytes: weight 32s + l is bits [2s, 2s + 2) of byte l.
      const qs = p + 16 + (group >> 3) * 32 + (group & 1) * 16;
      const shift = group & 6;
      for (let l = 0; l < 16; l++) out[o + l] = scale * ((b[qs + l]! >> shift) & 3) - minimum;
    }
  }
}

// Q3_K: 32 bytes of third bits, 64 bytes of 2-bit q as in Q2_K, 12 bytes of 6-bit scales, d.
// w = d * (scale - 32) * (q - (third bit ? 0 : 4))
function dequantizeQ3K(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; p += 110) {
    const d = halfAt(b, p + 108);
    for (let group = 0; group < 16; group++, o += 16) {
      const low = (b[p + 96 + (group & 7)]! >> ((group >> 3) << 2)) & 15;
      const high = (b[p + 104 + (group & 3)]! >> ((group >> 2) << 1)) & 3;
      const scale = d * ((low | (high << 4)) - 32);
      const qs = p + 32 + (group >> 3) * 32 + (group & 1) * 16;
      const shift = group & 6;
      const thirds = p + (group & 1) * 16;
      const third = group >> 1;
      for (let l = 0; l < 16; l++) {
        const q = ((b[qs + l]! >> shift) & 3) + (((b[thirds + l]! >> third) & 1) << 2) - 4;
        out[o + l] = scale * q;
      }
    }
  }
}

/** The 6-bit scale of 32 weights in the 12 bytes that Q4_K and Q5_K share; `j` in [0, 8). */
function scaleK(b: Uint8Array, at: number, j: number): number {
  if (j < 4) return b[at + j]! & 63;
  return (b[at + j + 4]! & 15) | ((b[at + j - 4]! >> 6) << 4);
}

/** The 6-bit minimum beside `scaleK`. */
function minimumK(b: Uint8Array, at: number, j: number): number {
  if (j < 4) return b[at + j + 4]! & 63;
  return (b[at + j + 4]! >> 4) | ((b[at + j]! >> 6) << 4);
}

// Q4_K: d, dmin, 12 bytes of scales and minima, 128 bytes with weights 64i + l and 64i + 32 + l.
// w = d * scale * q - dmin * minimum
function dequantizeQ4K(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; p += 144) {
    const d = halfAt(b, p);
    const dmin = halfAt(b, p + 2);
    for (let j = 0, qs = p + 16; j < 8; j += 2, qs += 32, o += 64) {
      const scale0 = d * scaleK(b, p + 4, j);
      const minimum0 = dmin * minimumK(b, p + 4, j);
      const scale1 = d * scaleK(b, p + 4, j + 1);
      const minimum1 = dmin * minimumK(b, p + 4, j + 1);
      for (let l = 0; l < 32; l++) {
        const q = b[qs + l]!;
        out[o + l] = scale0 * (q & 15) - minimum0;
        out[o + 32 + l] = scale1 * (q >> 4) - minimum1;
      }
    }
  }
}

// Q5_K: as Q4_K, with 32 bytes of fifth bits (weight 32i + l is bit i of byte l) before q.
function dequantizeQ5K(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; p += 176) {
    const d = halfAt(b, p);
    const dmin = halfAt(b, p + 2);
    for (let j = 0, qs = p + 48; j < 8; j += 2, qs += 32, o += 64) {
      const scale0 = d * scaleK(b, p + 4, j);
      const minimum0 = dmin * minimumK(b, p + 4, j);
      const scale1 = d * scaleK(b, p + 4, j + 1);
      const minimum1 = dmin * minimumK(b, p + 4, j + 1);
      for (let l = 0; l < 32; l++) {
        const q = b[qs + l]!;
        const fifths = b[p + 16 + l]! >> j;
        out[o + l] = scale0 * ((q & 15) | ((fifths & 1) << 4)) - minimum0;
        out[o + 32 + l] = scale1 * ((q >> 4) | ((fifths & 2) << 3)) - minimum1;
      }
    }
  }
}

// Q6_K: 128 bytes of low nibbles, 64 bytes of high 2-bit pairs, 16 signed scales, d.
// w = d * scale * (q - 32)
function dequantizeQ6K(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; p += 210) {
    const d = halfAt(b, p + 208);
    // Half a block is 128 weights: 32s + l has low nibble s >> 1 of byte 32(s & 1) + l, pair s of l.
    for (let half = 0; half < 2; half++) {
      const low = p + half * 64;
      const high = p + 128 + half * 32;
      for (let s = 0; s < 4; s++, o += 32) {
        const scales = p + 192 + half * 8 + s * 2;
        const scale0 = d * ((b[scales]! << 24) >> 24);
        const scale1 = d * ((b[scales + 1]! << 24) >> 24);
        const nibble = (s >> 1) * 4;
        const ql = low + (s & 1) * 32;
        for (let l = 0; l < 16; l++) {
          const q0 = ((b[ql + l]! >> nibble) & 15) | (((b[high + l]! >> (2 * s)) & 3) << 4);
          const q1 =
            ((b[ql + 16 + l]! >> nibble) & 15) | (((b[high + 16 + l]! >> (2 * s)) & 3) << 4);
          out[o + l] = scale0 * (q0 - 32);
          out[o + 16 + l] = scale1 * (q1 - 32);
        }
      }
    }
  }
}

// IQ4_NL: as Q4_0, the nibbles choosing from a table. w = d * level[q]
function dequantizeIq4Nl(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; o += 32, p += 18) {
    const d = halfAt(b, p);
    for (let j = 0; j < 16; j++) {
      const q = b[p + 2 + j]!;
      out[o + j] = d * IQ4_LEVELS[q & 15]!;
      out[o + 16 + j] = d * IQ4_LEVELS[q >> 4]!;
    }
  }
}

// IQ4_XS: d, 8 high 2-bit and 8 low 4-bit parts of scales, then 8 times as IQ4_NL.
// w = d * (scale - 32) * level[q]
function dequantizeIq4Xs(b: Uint8Array, out: Float32Array): void {
  for (let o = 0, p = 0; o < out.length; p += 136) {
    const d = halfAt(b, p);
    const highs = b[p + 2]! | (b[p + 3]! << 8);
    for (let i = 0, qs = p + 8; i < 8; i++, qs += 16, o += 32) {
      const low = (b[p + 4 + (i >> 1)]! >> (4 * (i & 1))) & 15;
      const scale = d * ((low | (((highs >> (2 * i)) & 3) << 4)) - 32);
      for (let j = 0; j < 16; j++) {
        const q = b[qs + j]!;
        out[o + j] = scale * IQ4_LEVELS[q & 15]!;
        out[o + 16 + j] = scale * IQ4_LEVELS[q >> 4]!;
      }
    }
  }
}
