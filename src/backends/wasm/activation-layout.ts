/**
 * How quantized activations lie in memory: int8 per block of 32 columns, with each block's scale,
 * integer sum and scaled sum. What is in them is the kernels' business (wasm/activation.h); what
 * they take, and which a kernel reads, is decided here.
 */
import { BLOCK_COLS, type QuantizedForm } from "../../pack/forms.ts";

export type KernelVariant = "dot" | "m" | "simd";

/** The numbers that the kernels take as `layout`. */
export const ActivationLayout = {
  /** One row, int8: GEMV of dot and m. */
  bytes: 0,
  /** One row, int16 weighted for the nibbles' places: plain GEMV of q4, q4m and q4s. */
  nibbles: 1,
  /** One row, int16 in the order 0 2 1 3: plain GEMV of q6m and q8. */
  words: 2,
  /** Tiles of 4 rows, int8: GEMM of dot and m. */
  tileBytes: 3,
  /** Tiles of 4 rows, int16: plain GEMM, and m's of q8. */
  tileWords: 4,
} as const;
export type ActivationLayout = (typeof ActivationLayout)[keyof typeof ActivationLayout];

/** Rows of a GEMM tile. */
export const TILE_ROWS = 4;

/** Bytes of a block beside its values: scale, sum, scaled sum. */
const BLOCK_HEADER_BYTES = 12;

/**
 * GEMM scratch of a block of 16 rows: minima and scales in f32, codes of at most 16 bits; and the
 * 64 sums of the largest tile, that of wide.wasm.
 */
const SCRATCH_BLOCK_BYTES = 64 + 64 + 16 * BLOCK_COLS * 2 + 64 * 4;

/**
 * Which layout the kernels of a variant read: of `gemv_*` for one row, of `gemm_*` for more.
 * A GEMM may be given one row, too: ask for the layout of 2 then.
 */
export function activationLayout(
  variant: KernelVariant,
  form: QuantizedForm,
  rows: number,
): ActivationLayout {
  if (rows > 1) {
    const words = variant === "simd" || (variant === "m" && form === "q8");
    return words ? ActivationLayout.tileWords : ActivationLayout.tileBytes;
  }
  if (variant !== "simd") return ActivationLayout.bytes;
  return form === "q6m" || form === "q8" ? ActivationLayout.words : ActivationLayout.nibbles;
}

/**
 * Bytes of quantized activations (rows, cols); `cols` is a multiple of 32. Tiles are whole: 5 rows
 * take as much as 8.
 */
export function activationBytes(layout: ActivationLayout, rows: number, cols: number): number {
  const bytes = layout === ActivationLayout.bytes || layout === ActivationLayout.tileBytes;
  const blockBytes = BLOCK_HEADER_BYTES + BLOCK_COLS * (bytes ? 1 : 2);
  const stored = layout >= ActivationLayout.tileBytes ? tiledRows(rows) : rows;
  return stored * (cols / BLOCK_COLS) * blockBytes;
}

/** Rows with the padding that GEMM tiles need; a GEMM's output needs them as well. */
export function tiledRows(rows: number): number {
  return Math.ceil(rows / TILE_ROWS) * TILE_ROWS;
}

/** Scratch that any `gemm_*` of that many columns needs: the unpacked panel, a tile's sums. */
export function gemmScratchBytes(cols: number): number {
  return (cols / BLOCK_COLS) * SCRATCH_BLOCK_BYTES;
}
