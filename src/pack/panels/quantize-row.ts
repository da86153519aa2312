/**
 * f32 rows to panels of any form. The scales (and minima) of a row are rounded first, then each code
 * is chosen against the rounded ones.
 *
 * Only f64 addition, multiplication, division and Math.floor take part: every engine gives the same
 * bytes. Error of a weight: q4m, q4s and q6m at most half a step of the rounded scale; q8 half a step;
 * q4 half a step, a whole one at the end of the range that has only 7 steps.
 */
import { f32ToBf16 } from "../../formats/half.ts";
import { BLOCK_COLS, type MatrixForm, type MinimumForm } from "../forms.ts";
import { MinimumRow } from "./minimum-row.ts";
import {
  HEADER_WORDS,
  isFiniteBf16,
  type PanelViews,
  putQ4,
  putQ8,
  TILE_WORDS,
} from "./panel-views.ts";
import { RowScales, toNearest } from "./row-scales.ts";

/** Packs `values` as row `row` of the panel at byte `panel`; false when a value is not finite. */
export type RowQuantizer = (
  values: Float32Array,
  out: PanelViews,
  panel: number,
  row: number,
) => boolean;

/** A packer for rows of `cols` values. */
export function rowQuantizer(form: MatrixForm, cols: number): RowQuantizer {
  switch (form) {
    case "q4":
    case "q8":
      return symmetricQuantizer(form, cols / BLOCK_COLS);
    case "q4m":
    case "q4s":
    case "q6m":
      return minimumQuantizer(form, cols / BLOCK_COLS);
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

function symmetricQuantizer(form: "q4" | "q8", blocks: number): RowQuantizer {
  const { zero, max, divisor, put } = SYMMETRIC[form];
  const rowScales = new RowScales(form, blocks);
  const { scales } = rowScales;
  return (values, out, panel, row) => {
    let nonFinite = 0;
    for (let b = 0; b < blocks; b++) {
      let extreme = 0;
      for (let k = b * BLOCK_COLS; k < (b + 1) * BLOCK_COLS; k++) {
        const value = values[k];
        nonFinite += value * 0;
        if (Math.abs(value) > Math.abs(extreme)) extreme = value;
      }
      scales[b] = (form === "q8" ? Math.abs(extreme) : extreme) / divisor;
    }
    if (nonFinite !== 0 || !rowScales.putScales(out, panel, row, toNearest)) return false;
    let tile = panel / 4 + HEADER_WORDS;
    for (let b = 0; b < blocks; b++, tile += TILE_WORDS[form]) {
      // A scale that was rounded up may take the largest weights out of f32's range.
      if (!Number.isFinite(Math.fround(scales[b] * zero))) return false;
      const inverse = scales[b] === 0 ? 0 : 1 / scales[b];
      for (let k = 0; k < BLOCK_COLS; k++) {
        const code = Math.floor(values[b * BLOCK_COLS + k] * inverse + zero + 0.5);
        codes[k] = Math.max(0, Math.min(max, code));
      }
      put(out.u32, tile, row, words);
    }
    return true;
  };
}

function minimumQuantizer(form: MinimumForm, blocks: number): RowQuantizer {
  const minimumRow = new MinimumRow(form, blocks);
  return (values, out, panel, row) =>
    minimumRow.readRanges(values) && minimumRow.putRanges(values, out, panel, row);
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
