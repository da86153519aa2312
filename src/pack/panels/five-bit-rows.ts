/**
 * Rows of 5-bit GGUF types to 6-bit panels, with their codes untouched: only scales and minima
 * are rounded. Oracle of the layouts: src/formats/gguf/dequantize.ts.
 */
import { f16ToF32 } from "../../formats/half.ts";
import { minimumK, scaleK } from "./four-bit-rows.ts";
import { HEADER_WORDS, putQ6, type RowPacker, SCALE_WORDS, TILE_WORDS } from "./panel-views.ts";
import { RowScales } from "./row-scales.ts";

const LOW_NIBBLES = 0x0f0f0f0f;
const LOW_BITS = 0x01010101;

/** Entry n has bit i of n as bit 4 of byte i: the fifth bits of four codes. */
const FIFTH_BITS: Uint32Array = Uint32Array.from({ length: 16 }, (_, n) => {
  return ((n & 1) << 4) | ((n & 2) << 11) | ((n & 4) << 18) | ((n & 8) << 25);
});

/** Byte j of words[i] is the code of column 4i + j. */
const words = new Uint32Array(8);

/**
 * Q5_0 and Q5_1: d, (m,) 32 fifth bits, then 16 bytes with the low nibbles of codes j and j + 16.
 * Q5_0 means d * (q - 16), so its minimum is -16 d: no rounding beyond that of d.
 */
function q5Packer(blocks: number, hasMinimum: boolean): RowPacker {
  const rowScales = new RowScales("q6m", blocks);
  const minima = rowScales.minima!;
  const header = hasMinimum ? 4 : 2;
  return ({ view }, start, out, panel, row) => {
    let from = start;
    let tile = panel / 4 + HEADER_WORDS + SCALE_WORDS; // past the minima
    for (let b = 0; b < blocks; b++, from += header + 20, tile += TILE_WORDS.q6m) {
      const d = f16ToF32(view.getUint16(from, true));
      rowScales.scales[b] = d;
      minima[b] = hasMinimum ? f16ToF32(view.getUint16(from + 2, true)) : -16 * d;
      const fifths = view.getUint32(from + header, true);
      for (let g = 0; g < 4; g++) {
        const nibbles = view.getUint32(from + header + 4 + 4 * g, true);
        words[g] = (nibbles & LOW_NIBBLES) | FIFTH_BITS[(fifths >>> (4 * g)) & 15];
        words[4 + g] = ((nibbles >>> 4) & LOW_NIBBLES) | FIFTH_BITS[(fifths >>> (16 + 4 * g)) & 15];
      }
      putQ6(out.u32, tile, row, words);
    }
    return rowScales.put(out, panel, row);
  };
}

export function q5ZeroPacker(blocks: number): RowPacker {
  return q5Packer(blocks, false);
}

export function q5OnePacker(blocks: number): RowPacker {
  return q5Packer(blocks, true);
}

/**
 * Q5_K: 176 bytes for 256 weights; d, dmin, scales and minima, 32 bytes of fifth bits (bit j of
 * byte l belongs to code l of block j), then nibbles as Q4_K.
 */
export function q5KPacker(blocks: number): RowPacker {
  const rowScales = new RowScales("q6m", blocks);
  const minima = rowScales.minima!;
  return ({ u8, view }, start, out, panel, row) => {
    let from = start;
    let tile = panel / 4 + HEADER_WORDS + SCALE_WORDS; // past the minima
    for (let b = 0; b < blocks; b += 8, from += 176) {
      const d = f16ToF32(view.getUint16(from, true));
      const dmin = f16ToF32(view.getUint16(from + 2, true));
      for (let j = 0; j < 8; j++, tile += TILE_WORDS.q6m) {
        rowScales.scales[b + j] = d * scaleK(u8, from + 4, j);
        minima[b + j] = -dmin * minimumK(u8, from + 4, j);
        const codes = from + 48 + (j >> 1) * 32;
        const shift = 4 * (j & 1);
        for (let i = 0; i < 8; i++) {
          const nibbles = (view.getUint32(codes + 4 * i, true) >>> shift) & LOW_NIBBLES;
          const fifths = (view.getUint32(from + 16 + 4 * i, true) >>> j) & LOW_BITS;
          words[i] = nibbles | (fifths << 4);
        }
        putQ6(out.u32, tile, row, words);
      }
    }
    return rowScales.put(out, panel, row);
  };
}
