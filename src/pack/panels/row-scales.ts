/**
 * A row's scales (or minima) as 16-bit integers times one power of two: 15 bits for the largest, and
 * the 11 of GGUF's f16 for all that are at least a sixteenth of it. The kernels turn an integer into
 * a float with one instruction, as they would a bf16, which has 8 bits: those 3 to 7 bits are a
 * third of the error of a whole forward pass (docs/pack-format.md).
 */
import { PANEL_ROWS, type QuantizedForm } from "../forms.ts";
import { HEADER_WORDS, type PanelViews, SCALE_WORDS, TILE_WORDS } from "./panel-views.ts";

/** Of the integers; -32768 is not used. */
const MAX_INTEGER = 32767;

/** Exponents whose powers are normal f32, so that the kernels make them from bits. */
const MIN_EXPONENT = -126;
const MAX_EXPONENT = 112;

const f64 = new Float64Array(1);
const f64Words = new Uint32Array(f64.buffer);

/** The exponent for values up to this magnitude, which becomes at most 32767, and at least 16383.5. */
export function exponentFor(largest: number): number {
  if (largest === 0) return 0;
  f64[0] = largest;
  const binade = ((f64Words[1] >>> 20) & 0x7ff) - 1023;
  const exponent = Math.max(MIN_EXPONENT, binade - 14);
  return largest / powerOfTwo(exponent) > MAX_INTEGER ? exponent + 1 : exponent;
}

/** 2^exponent, exact, for normal f64. */
export function powerOfTwo(exponent: number): number {
  f64Words[0] = 0;
  f64Words[1] = (exponent + 1023) << 20;
  return f64[0];
}

/** How a value becomes an integer multiple of the unit. */
export type Rounding = (multiple: number) => number;

export const toNearest: Rounding = (multiple) => Math.floor(multiple + 0.5);

/** The scales of a row being packed, one a block, and its minima. */
export class RowScales {
  readonly scales: Float64Array;
  readonly minima: Float64Array | undefined;
  readonly #form: QuantizedForm;

  constructor(form: QuantizedForm, blocks: number) {
    this.#form = form;
    this.scales = new Float64Array(blocks);
    this.minima = form === "q4m" || form === "q6m" ? new Float64Array(blocks) : undefined;
  }

  /**
   * Writes both into the panel at byte `panel`, rounded to nearest.
   *
   * @returns false when one is infinite or NaN.
   */
  put(out: PanelViews, panel: number, row: number): boolean {
    const { minima } = this;
    return (
      (!minima || this.putMinima(out, panel, row, toNearest)) &&
      this.putScales(out, panel, row, toNearest)
    );
  }

  /** Writes the scales and replaces them by the rounded ones. */
  putScales(out: PanelViews, panel: number, row: number, round: Rounding): boolean {
    const first = HEADER_WORDS + (this.minima ? SCALE_WORDS : 0);
    // The buffer may hold another matrix's: packs are the same bytes however they are made.
    if (!this.minima) out.i8[panel + PANEL_ROWS + row] = 0;
    return this.#put(this.scales, out, panel + row, panel / 4 + first, row, round);
  }

  putMinima(out: PanelViews, panel: number, row: number, round: Rounding): boolean {
    const { minima } = this;
    const header = panel + PANEL_ROWS + row;
    return !minima || this.#put(minima, out, header, panel / 4 + HEADER_WORDS, row, round);
  }

  #put(
    values: Float64Array,
    { i8, i16 }: PanelViews,
    header: number,
    firstWord: number,
    row: number,
    round: Rounding,
  ): boolean {
    let largest = 0;
    for (let b = 0; b < values.length; b++) {
      // NaN fails every comparison, so it is looked for by itself.
      if (!(Math.abs(values[b]) <= largest)) largest = Math.abs(values[b]);
      if (!Number.isFinite(largest)) return false;
    }
    const exponent = exponentFor(largest);
    if (exponent > MAX_EXPONENT) return false;
    const unit = powerOfTwo(exponent);
    i8[header] = exponent;
    const stride = 2 * TILE_WORDS[this.#form];
    for (let b = 0, at = 2 * firstWord + row; b < values.length; b++, at += stride) {
      const integer = round(values[b] / unit); // in [-32767, 32767], as exponentFor() chose the unit
      i16[at] = integer;
      values[b] = integer * unit;
    }
    return true;
  }
}
