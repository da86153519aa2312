/**
 * The matrix kernels in plain loops: panels decoded by the formulas of src/pack/forms.ts, activations
 * quantized block by block, sums in the order of wasm/gemv.h, each step rounded to f32.
 */
import type { QuantizedForm } from "../../../src/pack/forms.ts";

const BLOCK = 32;

/** Exponents of 16 rows' scales, then of their minima. */
const HEADER_BYTES = 32;

/**
 * Of a block of 16 rows: its bytes, those before its scales (minima), those of its scales (16 i16, or 16 u8 behind minima
 * of i8), and what a code is too large by.
 */
const FORMS = {
  q4: { blockBytes: 288, minima: 0, scales: 32, zero: 8 },
  q4m: { blockBytes: 320, minima: 32, scales: 32, zero: 0 },
  q6m: { blockBytes: 448, minima: 32, scales: 32, zero: 0 },
  q8: { blockBytes: 544, minima: 0, scales: 32, zero: 128 },
  q4s: { blockBytes: 288, minima: 16, scales: 16, zero: 0 },
} as const;

export const QUANTIZED_FORMS = Object.keys(FORMS) as QuantizedForm[];

/** The same integers in [0, 2^32) on every engine. */
export function randomIntegers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** Uniform in [-size, size), in steps that f32 holds. */
export function randomFloats(seed: number, count: number, size = 2): Float32Array {
  const next = randomIntegers(seed);
  return Float32Array.from({ length: count }, () => ((next() >>> 8) / 2 ** 23 - 1) * size);
}

export interface MatrixOptions {
  /** Every byte of codes; random without. */
  readonly code?: number;
  /** Exponents of scales and minima, in turn over the header's bytes; random from -26 to -19 without. */
  readonly exponents?: readonly number[];
}

/** A matrix of random codes, its scales and minima random in all their bits. */
export function randomMatrix(
  form: QuantizedForm,
  rows: number,
  cols: number,
  seed: number,
  { code, exponents }: MatrixOptions = {},
): Uint8Array {
  const { blockBytes, minima, scales } = FORMS[form];
  const bytes = new Uint8Array(panelStart(form, cols, rows));
  const view = new DataView(bytes.buffer);
  const next = randomIntegers(seed);
  for (let at = 0; at < bytes.length; at += 2) {
    const random = next();
    const inPanel = at % panelStart(form, cols, 16);
    const inBlock = (inPanel - HEADER_BYTES) % blockBytes;
    if (inPanel < HEADER_BYTES) {
      for (const i of [0, 1]) {
        const exponent = exponents?.[(inPanel + i) % exponents.length];
        view.setInt8(at + i, exponent ?? ((random >> (8 * i)) & 7) - 26);
      }
    } else if (inBlock < minima + scales) view.setInt16(at, random >> 16, true);
    else view.setUint16(at, code === undefined ? random & 0xffff : code * 257, true);
  }
  return bytes;
}

/** Where the panel of a row starts; of the row behind the last one, a matrix's bytes. */
function panelStart(form: QuantizedForm, cols: number, row: number): number {
  return (row >> 4) * (HEADER_BYTES + (cols / BLOCK) * FORMS[form].blockBytes);
}

export interface WeightRow {
  /** What all scales, and all minima, of the row are multiples of. */
  readonly unit: number;
  readonly minimumUnit: number;
  readonly blocks: readonly WeightBlock[];
}

/** Scale and minimum as the integers that they are stored as. */
export interface WeightBlock {
  readonly scale: number;
  readonly minimum: number;
  /** 32 codes less the zero point. */
  readonly q: Int32Array;
}

/** One row of a matrix, block by block. */
export function decodeRow(
  form: QuantizedForm,
  matrix: Uint8Array,
  cols: number,
  row: number,
): WeightRow {
  const view = new DataView(matrix.buffer, matrix.byteOffset, matrix.byteLength);
  const { blockBytes, minima, scales, zero } = FORMS[form];
  const panel = panelStart(form, cols, row);
  const r = row % 16;
  const [quad, lane] = [r >> 2, 4 * (r & 3)];
  const blocks = Array.from({ length: cols / BLOCK }, (_, b) => {
    const block = panel + HEADER_BYTES + b * blockBytes;
    const codes = block + minima + scales;
    const at = (i: number): number => matrix[codes + i];
    const code = (k: number): number => {
      const [group, j] = [k >> 2, k & 3];
      if (form === "q8") return at(64 * group + 16 * quad + lane + j);
      if (form === "q6m") {
        const byte = (i: number): number => at(96 * quad + 48 * (k >> 4) + 16 * i + lane + j);
        if ((group & 3) < 3) return byte(group & 3) & 63;
        return (byte(0) >> 6) | ((byte(1) >> 6) << 2) | ((byte(2) >> 6) << 4);
      }
      const pair = at(64 * (group & 3) + 16 * quad + lane + j);
      return k < 16 ? pair & 15 : pair >> 4;
    };
    const isShort = scales === 16;
    const minimum = (): number =>
      isShort ? view.getInt8(block + r) : view.getInt16(block + 2 * r, true);
    return {
      scale: isShort ? matrix[block + minima + r] : view.getInt16(block + minima + 2 * r, true),
      minimum: minima ? minimum() : 0,
      q: Int32Array.from({ length: BLOCK }, (_, k) => code(k) - zero),
    };
  });
  const unit = 2 ** view.getInt8(panel + r);
  return { unit, minimumUnit: 2 ** view.getInt8(panel + 16 + r), blocks };
}

export interface ActivationBlock {
  readonly scale: number;
  readonly sum: number;
  readonly scaledSum: number;
  readonly q: Int32Array;
}

/** Below 2^-100, 127 / absmax could overflow: such a block counts as zeros. */
const SMALLEST_ABSMAX = 2 ** -100;

export function quantizeRow(x: Float32Array): ActivationBlock[] {
  return Array.from({ length: x.length / BLOCK }, (_, b) => {
    const block = x.subarray(b * BLOCK, (b + 1) * BLOCK);
    const absMax = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const inverse = absMax >= SMALLEST_ABSMAX ? Math.fround(127 / absMax) : 0;
    const q = Int32Array.from(block, (value) => roundHalfToEven(Math.fround(value * inverse)));
    const scale = Math.fround(absMax / 127);
    const sum = q.reduce((a, c) => a + c, 0);
    return { scale, sum, scaledSum: Math.fround(scale * sum), q };
  });
}

/** y = D * u + M * v of one output: two chains over ascending blocks, powers of two, one sum at the end. */
export function product(
  { unit, minimumUnit, blocks }: WeightRow,
  x: readonly ActivationBlock[],
  hasMinimum: boolean,
): number {
  let d = 0;
  let m = 0;
  blocks.forEach(({ scale, minimum, q }, b) => {
    let dot = 0;
    for (let k = 0; k < BLOCK; k++) dot += q[k] * x[b].q[k];
    d = Math.fround(d + Math.fround(Math.fround(dot) * Math.fround(x[b].scale * scale)));
    m = Math.fround(m + Math.fround(x[b].scaledSum * minimum));
  });
  d = Math.fround(d * unit);
  return hasMinimum ? Math.fround(d + Math.fround(m * minimumUnit)) : d;
}

/** (tokens, rows) results of a matrix with rows of x. */
export function multiply(
  form: QuantizedForm,
  matrix: Uint8Array,
  x: readonly Float32Array[],
  rows: number,
): Float32Array[] {
  const cols = x[0].length;
  const weights = Array.from({ length: rows }, (_, row) => decodeRow(form, matrix, cols, row));
  return x.map((row) => {
    const activations = quantizeRow(row);
    const hasMinimum = FORMS[form].minima > 0;
    return Float32Array.from(weights, (weight) => product(weight, activations, hasMinimum));
  });
}

function roundHalfToEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}
