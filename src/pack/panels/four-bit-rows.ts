/**
 * Rows of 4-bit GGUF types to panels, with their codes untouched: only scales and minima are
 * rounded. Oracle of the layouts: src/formats/gguf/dequantize.ts.
 */
import { f16ToF32 } from "../../formats/half.ts";
import { HEADER_WORDS, type RowPacker, SCALE_WORDS, TILE_WORDS } from "./panel-views.ts";
import { RowScales } from "./row-scales.ts";

/** Q4_0: 18 bytes a block; d, then 16 bytes with codes j and j + 16, which is the tile's order. */
export function q4ZeroPacker(blocks: number): RowPacker {
  const rowScales = new RowScales("q4", blocks);
  return ({ view }, start, out, panel, row) => {
    let from = start;
    let to = panel / 4 + HEADER_WORDS + SCALE_WORDS + row;
    for (let b = 0; b < blocks; b++, from += 18, to += TILE_WORDS.q4) {
      rowScales.scales[b] = f16ToF32(view.getUint16(from, true));
      for (let g = 0; g < 4; g++) out.u32[to + 16 * g] = view.getUint32(from + 2 + 4 * g, true);
    }
    return rowScales.put(out, panel, row);
  };
}

/** Q4_1: 20 bytes a block; d, m, then as Q4_0. */
export function q4OnePacker(blocks: number): RowPacker {
  const rowScales = new RowScales("q4m", blocks);
  const minima = rowScales.minima!;
  return ({ view }, start, out, panel, row) => {
    let from = start;
    let to = panel / 4 + HEADER_WORDS + 2 * SCALE_WORDS + row;
    for (let b = 0; b < blocks; b++, from += 20, to += TILE_WORDS.q4m) {
      rowScales.scales[b] = f16ToF32(view.getUint16(from, true));
      minima[b] = f16ToF32(view.getUint16(from + 2, true));
      for (let g = 0; g < 4; g++) out.u32[to + 16 * g] = view.getUint32(from + 4 + 4 * g, true);
    }
    return rowScales.put(out, panel, row);
  };
}

const LOW_NIBBLES = 0x0f0f0f0f;
const HIGH_NIBBLES = 0xf0f0f0f0;

/**
 * Q4_K: 144 bytes for 256 weights; d, dmin, scales and minima, then 4 times 32 bytes whose low
 * nibbles are one block of 32 and whose high nibbles the next.
 */
export function q4KPacker(blocks: number): RowPacker {
  const rowScales = new RowScales("q4m", blocks);
  const minima = rowScales.minima!;
  return ({ u8, view }, start, out, panel, row) => {
    const { u32 } = out;
    let from = start;
    let to = panel / 4 + HEADER_WORDS + 2 * SCALE_WORDS + row;
    for (let b = 0; b < blocks; b += 8, from += 144) {
      const d = f16ToF32(view.getUint16(from, true));
      const dmin = f16ToF32(view.getUint16(from + 2, true));
      for (let j = 0; j < 8; j++, to += TILE_WORDS.q4m) {
        rowScales.scales[b + j] = d * scaleK(u8, from + 4, j);
        minima[b + j] = -dmin * minimumK(u8, from + 4, j);
        const codes = from + 16 + (j >> 1) * 32;
        for (let g = 0; g < 4; g++) {
          const first = view.getUint32(codes + 4 * g, true);
          const second = view.getUint32(codes + 16 + 4 * g, true);
          u32[to + 16 * g] =
            (j & 1) === 0
              ? (first & LOW_NIBBLES) | ((second & LOW_NIBBLES) << 4)
              : ((first >>> 4) & LOW_NIBBLES) | (second & HIGH_NIBBLES);
        }
      }
    }
    return rowScales.put(out, panel, row);
  };
}

/** The 6-bit scale of block j (0 to 7) in the 12 bytes that Q4_K and Q5_K share. */
export function scaleK(u8: Uint8Array, at: number, j: number): number {
  return j < 4 ? u8[at + j] & 63 : (u8[at + j + 4] & 15) | ((u8[at + j - 4] >> 6) << 4);
}

/** The 6-bit minimum beside it. */
export function minimumK(u8: Uint8Array, at: number, j: number): number {
  return j < 4 ? u8[at + j + 4] & 63 : (u8[at + j + 4] >> 4) | ((u8[at + j] >> 6) << 4);
}
