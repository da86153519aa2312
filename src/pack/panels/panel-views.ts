/**
 * Where packed rows go, and how the codes of a block of 32 are laid into a tile.
 * Layouts: src/pack/forms.ts. Words are little-endian, as is every platform with WebAssembly.
 */

import { PANEL_HEADER_BYTES } from "../forms.ts";

/** Whole panels in one buffer, seen in the widths that are written. */
export interface PanelViews {
  readonly u8: Uint8Array;
  readonly i8: Int8Array;
  readonly u16: Uint16Array;
  readonly i16: Int16Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
}

/** The rows of a source file that lie in memory. */
export interface SourceBytes {
  readonly u8: Uint8Array;
  readonly view: DataView;
}

/**
 * Packs one row: the source's row that starts at byte `from`, as row `row` (0 to 15) of the panel
 * that starts at byte `panel`.
 *
 * @returns false when a scale or weight is infinite or NaN; the row is then not usable.
 */
export type RowPacker = (
  source: SourceBytes,
  from: number,
  out: PanelViews,
  panel: number,
  row: number,
) => boolean;

/** 32-bit words of a panel's exponents, in front of its first tile. */
export const HEADER_WORDS: number = PANEL_HEADER_BYTES / 4;

/** 32-bit words of a tile's 16 scales, and of the 16 minima that lie before them; in q4s of both together. */
export const SCALE_WORDS = 8;

/** 32-bit words from tile to tile: 16 rows of a block of 32, scales and minima included. */
export const TILE_WORDS = { q4: 72, q4m: 80, q4s: 72, q6m: 112, q8: 136 } as const;

export function panelViews(bytes: number): PanelViews {
  const buffer = new ArrayBuffer(bytes);
  return {
    u8: new Uint8Array(buffer),
    i8: new Int8Array(buffer),
    u16: new Uint16Array(buffer),
    i16: new Int16Array(buffer),
    u32: new Uint32Array(buffer),
    f32: new Float32Array(buffer),
  };
}

export function sourceBytes(u8: Uint8Array): SourceBytes {
  return { u8, view: new DataView(u8.buffer, u8.byteOffset, u8.byteLength) };
}

/** Whether a bf16 is neither infinite nor NaN. */
export function isFiniteBf16(bits: number): boolean {
  return (bits & 0x7f80) !== 0x7f80;
}

/**
 * Lays a block's 32 codes of 4 bits into the tile at word `tile`.
 * Byte j of words[i] is the code of column 4i + j, here and below.
 */
export function putQ4(u32: Uint32Array, tile: number, row: number, words: Uint32Array): void {
  const at = tile + SCALE_WORDS + row;
  for (let g = 0; g < 4; g++) u32[at + 16 * g] = words[g] | (words[4 + g] << 4);
}

/** Lays a block's 32 codes of 6 bits into a tile: three bytes hold the fourth in their top bits. */
export function putQ6(u32: Uint32Array, tile: number, row: number, words: Uint32Array): void {
  const at = tile + SCALE_WORDS + (row >> 2) * 24 + (row & 3);
  for (let h = 0; h < 2; h++) {
    const fourth = words[4 * h + 3];
    for (let i = 0; i < 3; i++) {
      u32[at + 12 * h + 4 * i] = words[4 * h + i] | (((fourth >>> (2 * i)) & 0x03030303) << 6);
    }
  }
}

/** Lays a block's 32 codes of 8 bits into a tile. */
export function putQ8(u32: Uint32Array, tile: number, row: number, words: Uint32Array): void {
  const at = tile + SCALE_WORDS + row;
  for (let g = 0; g < 8; g++) u32[at + 16 * g] = words[g];
}
