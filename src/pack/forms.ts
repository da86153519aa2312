/**
 * The forms in which the kernels read matrices. A matrix (rows, cols) is stored as panels of 16
 * rows, the last one padded with zero rows; quantized forms need cols to be a multiple of 32.
 *
 * A quantized panel, `blocks = cols / 32`, little-endian:
 *   i8 de[16], i8 me[16]     exponents of a row's scales and minima: d = i * 2^de; me = 0 without minima
 *   q4   blocks x { i16 d[16]; u8 qs[4][4][16] }                   288 B, w = d * (q - 8)
 *   q4m  blocks x { i16 m[16]; i16 d[16]; u8 qs[4][4][16] }        320 B, w = d * q + m
 *   q4s  blocks x { i8 m[16]; u8 d[16]; u8 qs[4][4][16] }          288 B, w = d * q + m
 *   q6m  blocks x { i16 m[16]; i16 d[16]; u8 q6[4][2][3][16] }     448 B, w = d * q + m
 *   q8   blocks x { i16 d[16]; u8 q[8][4][16] }                    544 B, w = d * (q - 128)
 * with, for row 4v+r of the panel and column k of the block:
 *   qs[g][v][4r+j] = q(4v+r, 4g+j) | q(4v+r, 16+4g+j) << 4
 *   q6[v][h][i][4r+j] = q(4v+r, 16h+4i+j) | (q(4v+r, 16h+12+j) >> 2i & 3) << 6
 *   q[g][v][4r+j] = q(4v+r, 4g+j)
 * bf16 and f32 panels are [cols][16].
 */
export type MatrixForm = "q4" | "q4m" | "q4s" | "q6m" | "q8" | "bf16" | "f32";

/** The forms in blocks of 32 columns, whose kernels read quantized activations. */
export type QuantizedForm = Exclude<MatrixForm, "bf16" | "f32">;

/** Those with a minimum for each block. */
export type MinimumForm = "q4m" | "q4s" | "q6m";

/** Vectors (norm weights, biases) are plain f32. */
export type WeightForm = MatrixForm | "vector";

/** Rows of a panel. */
export const PANEL_ROWS = 16;

/** Columns of a quantization block. */
export const BLOCK_COLS = 32;

/** Tensors start at multiples of this in the pack's image, so that fused matrices are contiguous. */
export const TENSOR_ALIGNMENT = 32;

/** Rows of a matrix at most; the largest vocabularies have 262,144. */
export const MAX_ROWS: number = 2 ** 24;

/**
 * Columns of a matrix and length of a vector at most; Llama 3.1 405B has 53,248. It bounds a panel,
 * which is what packing holds in memory, to 16 MiB.
 */
export const MAX_COLS: number = 2 ** 18;

/** The exponents in front of a quantized panel. */
export const PANEL_HEADER_BYTES = 32;

/** Bytes of 16 rows of one block (quantized forms) or of one column (bf16, f32). */
const UNIT_BYTES: Record<MatrixForm, number> = {
  q4: 288,
  q4m: 320,
  q4s: 288,
  q6m: 448,
  q8: 544,
  bf16: 32,
  f32: 64,
};

export function isQuantized(form: MatrixForm): form is QuantizedForm {
  return form !== "bf16" && form !== "f32";
}

export function hasMinimum(form: MatrixForm): form is MinimumForm {
  return form === "q4m" || form === "q4s" || form === "q6m";
}

export function paddedRows(rows: number): number {
  return Math.ceil(rows / PANEL_ROWS) * PANEL_ROWS;
}

/** Bytes of one panel of 16 rows. */
export function panelBytes(form: MatrixForm, cols: number): number {
  return isQuantized(form)
    ? PANEL_HEADER_BYTES + UNIT_BYTES[form] * (cols / BLOCK_COLS)
    : UNIT_BYTES[form] * cols;
}

/** Bytes of a matrix in this form, its row padding included. */
export function matrixBytes(form: MatrixForm, rows: number, cols: number): number {
  return (paddedRows(rows) / PANEL_ROWS) * panelBytes(form, cols);
}

/** Bytes of a weight of this shape: [rows, cols] of a matrix, [length] of a vector. */
export function weightBytes(form: WeightForm, shape: readonly number[]): number {
  return form === "vector" ? shape[0] * 4 : matrixBytes(form, shape[0], shape[1]);
}

export function alignUp(bytes: number): number {
  return Math.ceil(bytes / TENSOR_ALIGNMENT) * TENSOR_ALIGNMENT;
}
