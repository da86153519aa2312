/**
 * Rows of 4-bit GGUF types to panels, with their codes untouched: only scales and minima become
 * bf16. Oracle of the layouts: src/formats/gguf/dequantize.ts.
 */
import { f16ToF32, f32ToBf16 } from "../../formats/half.ts";
import { f16ToBf16Table } from "./bf16.ts";
import { isFiniteBf16, type RowPacker, SCALE_WORDS, TILE_WORDS } from "./panel-views.ts";

/** Q4_0: 18 bytes a block; d, then 16 bytes with codes j and j + 16, which is the tile's order. */
export function q4ZeroPacker(blocks: number): RowPacker {
  const toBf16 = f16ToBf16Table();
  return ({ view }, start, { u16, u32 }, panel, row) => {
    let from = start;
    let tile = panel / 4;
    for (let b = 0; b < blocks; b++, from += 18, tile += TILE_WORDS.q4) {
      const scale = toBf16[view.getUint16(from, true)];
      if (!isFiniteBf16(scale)) return false;
      u16[2 * tile + row] = scale;
      const to = tile + SCALE_WORDS + row;
      for (let g = 0; g < 4; g++) u32[to + 16 * g] = view.getUint32(from + 2 + 4 * g, true);
    }
    return true;
  };
}

/** Q4_1: 20 bytes a block; d, m, then as Q4_0. */
export function q4OnePacker(blocks: number): RowPacker {
  const toBf16 = f16ToBf16Table();
  return ({ view }, start, { u16, u32 }, panel, row) => {
    let from = start;
    let tile = panel / 4 + SCALE_WORDS; // past the minima
    for (let b = 0; b < blocks; b++, from += 20, tile += TILE_WORDS.q4m) {
      const scale = toBf16[view.getUint16(from, true)];
      const minimum = toBf16[view.getUint16(from + 2, true)];
      if (!isFiniteBf16(scale) || !isFiniteBf16(minimum)) return false;
      u16[2 * tile + row] = scale;
      u16[2 * (tile - SCALE_WORDS) + row] = minimum;
      const to = tile + SCALE_WORDS + row;
      for (let g = 0; g < 4; g++) u32[to + 16 * g] = view.getUint32(from + 4 + 4 * g, true);
    }
    return true;
  };
}

const LOW_NIBBLES = 0x0f0f0f0f;
const HIGH_NIBBLES = 0xf0f0f0f0;

/**
 * Q4_K: 144 bytes for 256 weights; d, dmin, scales and minima, then 4 times 32 bytes whose low
 * nibbles are one block of 32 and whose high nibbles the next.
 */
export function q4KPacker(blocks: number): RowPacker {
  return ({ u8, view }, start, { u16, u32 }, panel, row) => {
    let from = start;
    let tile = panel / 4 + SCALE_WORDS; // past the minima
    for (let b = 0; b < blocks; b += 8, from += 144) {
      const d = f16ToF32(view.getUint16(from, true));
      const dmin = f16ToF32(view.getUint16(from + 2, true));
      for (let j = 0; j < 8; j++, tile += TILE_WORDS.q4m) {
        const scale = f32ToBf16(d * scaleK(u8, from + 4, j));
        const minimum = f32ToBf16(-dmin * minimumK(u8, from + 4, j));
        if (!isFiniteBf16(scale) || !isFiniteBf16(minimum)) return false;
        u16[2 * tile + row] = scale;
        u16[2 * (tile - SCALE_WORDS) + row] = minimum;
        const codes = from + 16 + (j >> 1) * 32;
        const to = tile + SCALE_WORDS + row;
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
    return true;
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
