/**
 * f32 rows to panels of any form. A block's scale (and minimum) is rounded to bf16 first, then each
 * code is chosen against the rounded scale.
 *
 * Only f64 addition, multiplication, division and Math.floor take part: every engine gives the same
 * bytes. Error of a weight: q4m and q6m at most half a step of the rounded scale; q8 half a step;
 * q4 half a step, a whole one at the end of the range that has only 7 steps.
 */
import { bf16ToF32, f32ToBf16 } from "../../formats/half.ts";
import { BLOCK_COLS, type MatrixForm } from "../forms.ts";
import { bf16Above, bf16Below } from "./bf16.ts";
import {
  isFiniteBf16,
  type PanelViews,
  putQ4,
  putQ6,
  putQ8,
  SCALE_WORDS,
  TILE_WORDS,
} from "./panel-views.ts";

/** Packs `values` as row `row` of the panel at byte `panel`; false when a value is not finite. */
export type RowQuantizer = (
  values: Float32Array,
  out: PanelViews,
  panel: number,
  row: number,
) => boolean;

export function rowQuantizer(form: MatrixForm): RowQuantizer {
  switch (form) {
    case "q4":
      return (values, out, panel, row) => quantizeSymmetric(values, out, panel, row, "q4");
    case "q8":
      return (values, out, panel, row) => quantizeSymmetric(values, out, panel, row, "q8");
    case "q4m":
      return (values, out, panel, row) => quantizeWithMinimum(values, out, panel, row, "q4m");
    case "q6m":
      return (values, out, panel, row) => quantizeWithMinimum(values, out, panel, row, "q6m");
    case "bf16":
      return putBf16;
    case "f32":
      return putF32;
  }
}

const codes = new Uint8Array(BLOCK_COLS);
const words = new Uint32Array(codes.buffer);

/** Scale = value of largest magnitude / divisor. */
const SYMMETRIC = {
  // That value gets code 0: of 4 bits the eighth step, which only one side has, is worth its sign.
  q4: { zero: 8, max: 15, divisor: -8, put: putQ4 },
  q8: { zero: 128, max: 255, divisor: 127, put: putQ8 },
} as const;

function quantizeSymmetric(
  values: Float32Array,
  out: PanelViews,
  panel: number,
  row: number,
  form: "q4" | "q8",
): boolean {
  const { zero, max, divisor, put } = SYMMETRIC[form];
  let tile = panel / 4;
  for (let from = 0; from < values.length; from += BLOCK_COLS, tile += TILE_WORDS[form]) {
    let extreme = 0;
    let nonFinite = 0;
    for (let k = 0; k < BLOCK_COLS; k++) {
      const value = values[from + k];
      nonFinite += value * 0;
      if (Math.abs(value) > Math.abs(extreme)) extreme = value;
    }
    const bits = f32ToBf16((form === "q8" ? Math.abs(extreme) : extreme) / divisor);
    const scale = bf16ToF32(bits);
    // A scale that was rounded up may take the largest weights out of f32's range.
    if (nonFinite !== 0 || !Number.isFinite(Math.fround(scale * zero))) return false;
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let k = 0; k < BLOCK_COLS; k++) {
      const code = Math.floor(values[from + k] * inverse + zero + 0.5);
      codes[k] = Math.max(0, Math.min(max, code));
    }
    out.u16[2 * tile + row] = bits;
    put(out.u32, tile, row, words);
  }
  return true;
}

const WITH_MINIMUM = { q4m: { max: 15, put: putQ4 }, q6m: { max: 63, put: putQ6 } } as const;

function quantizeWithMinimum(
  values: Float32Array,
  out: PanelViews,
  panel: number,
  row: number,
  form: "q4m" | "q6m",
): boolean {
  const { max, put } = WITH_MINIMUM[form];
  let tile = panel / 4 + SCALE_WORDS; // past the minima
  for (let from = 0; from < values.length; from += BLOCK_COLS, tile += TILE_WORDS[form]) {
    let low = values[from];
    let high = low;
    let nonFinite = 0;
    for (let k = 0; k < BLOCK_COLS; k++) {
      const value = values[from + k];
      nonFinite += value * 0;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    // Outward, so that [minimum, minimum + max * scale] covers the block: no code passes `max`.
    const minimumBits = bf16Below(low);
    const minimum = bf16ToF32(minimumBits);
    const scaleBits = bf16Above((high - minimum) / max);
    const scale = bf16ToF32(scaleBits);
    // Rounded outward, the largest weight may leave f32's range; a NaN shows in the sum as well.
    const top = Math.fround(Math.fround(scale * max) + minimum);
    if (nonFinite !== 0 || !Number.isFinite(top)) return false;
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let k = 0; k < BLOCK_COLS; k++) {
      codes[k] = Math.floor((values[from + k] - minimum) * inverse + 0.5);
    }
    out.u16[2 * (tile - SCALE_WORDS) + row] = minimumBits;
    out.u16[2 * tile + row] = scaleBits;
    put(out.u32, tile, row, words);
  }
  return true;
}

function putBf16(values: Float32Array, out: PanelViews, panel: number, row: number): boolean {
  let nonFinite = 0;
  let at = panel / 2 + row;
  for (let i = 0; i < values.length; i++, at += 16) {
    const bits = f32ToBf16(values[i]);
    out.u16[at] = bits;
    // A finite f32 may round up to infinity.
    if (!isFiniteBf16(bits)) nonFinite = 1;
  }
  return nonFinite === 0;
}

function putF32(values: Float32Array, out: PanelViews, panel: number, row: number): boolean {
  let nonFinite = 0;
  let at = panel / 4 + row;
  for (let i = 0; i < values.length; i++, at += 16) {
    out.f32[at] = values[i];
    nonFinite += values[i] * 0;
  }
  return nonFinite === 0;
}
