/**
 * Rows of GGUF types whose weights are int8 times a scale, to 8-bit panels: exact but for the scale,
 * which is rounded. Oracle of the layouts: src/formats/gguf/dequantize.ts.
 */
import { IQ4_LEVELS } from "../../formats/gguf/dequantize.ts";
import { f16ToF32 } from "../../formats/half.ts";
import { HEADER_WORDS, type RowPacker, SCALE_WORDS, TILE_WORDS } from "./panel-views.ts";
import { RowScales } from "./row-scales.ts";

/** Flips the top bit of four int8, which adds 128. */
const PLUS_128 = 0x80808080;

/** Q8_0: 34 bytes a block; d, then 32 signed bytes. */
export function q8ZeroPacker(blocks: number): RowPacker {
  const rowScales = new RowScales("q8", blocks);
  return ({ view }, start, out, panel, row) => {
    let from = start;
    let to = panel / 4 + HEADER_WORDS + SCALE_WORDS + row;
    for (let b = 0; b < blocks; b++, from += 34, to += TILE_WORDS.q8) {
      rowScales.scales[b] = f16ToF32(view.getUint16(from, true));
      for (let g = 0; g < 8; g++) {
        out.u32[to + 16 * g] = view.getUint32(from + 2 + 4 * g, true) ^ PLUS_128;
      }
    }
    return rowScales.put(out, panel, row);
  };
}

/** The levels of the IQ4 types, plus 128. */
const IQ4_CODES: Uint8Array = Uint8Array.from(IQ4_LEVELS, (level) => level + 128);

/** 16 bytes at `from` choose a block's codes: low nibbles columns 0 to 15, high ones the rest. */
function putIq4(u8: Uint8Array, from: number, u32: Uint32Array, to: number): void {
  for (let g = 0; g < 4; g++) {
    let low = 0;
    let high = 0;
    for (let j = 0; j < 4; j++) {
      const pair = u8[from + 4 * g + j];
      low |= IQ4_CODES[pair & 15] << (8 * j);
      high |= IQ4_CODES[pair >> 4] << (8 * j);
    }
    u32[to + 16 * g] = low;
    u32[to + 16 * (4 + g)] = high;
  }
}

/** IQ4_NL: 18 bytes a block; d, then 16 bytes of two choices each. */
export function iq4NlPacker(blocks: number): RowPacker {
  const rowScales = new RowScales("q8", blocks);
  return ({ u8, view }, start, out, panel, row) => {
    let from = start;
    let to = panel / 4 + HEADER_WORDS + SCALE_WORDS + row;
    for (let b = 0; b < blocks; b++, from += 18, to += TILE_WORDS.q8) {
      rowScales.scales[b] = f16ToF32(view.getUint16(from, true));
      putIq4(u8, from + 2, out.u32, to);
    }
    return rowScales.put(out, panel, row);
  };
}

/** IQ4_XS: 136 bytes for 256 weights; d, 8 scales of 6 bits in two parts, then as IQ4_NL. */
export function iq4XsPacker(blocks: number): RowPacker {
  const rowScales = new RowScales("q8", blocks);
  return ({ u8, view }, start, out, panel, row) => {
    let from = start;
    let to = panel / 4 + HEADER_WORDS + SCALE_WORDS + row;
    for (let b = 0; b < blocks; b += 8, from += 136) {
      const d = f16ToF32(view.getUint16(from, true));
      const highs = view.getUint16(from + 2, true);
      for (let i = 0; i < 8; i++, to += TILE_WORDS.q8) {
        const low = (u8[from + 4 + (i >> 1)] >> (4 * (i & 1))) & 15;
        rowScales.scales[b + i] = d * ((low | (((highs >> (2 * i)) & 3) << 4)) - 32);
        putIq4(u8, from + 8 + 16 * i, out.u32, to);
      }
    }
    return rowScales.put(out, panel, row);
  };
}
