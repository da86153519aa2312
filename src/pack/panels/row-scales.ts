/**
 * A row's scales (or minima) as 16-bit integers times one power of two: 15 bits for the largest, and
 * the 11 of GGUF's f16 for all that are at least a sixteenth of it. The kernels turn an integer into
 * a float with one instruction, as they would a bf16, which has 8 bits: those 3 to 7 bits are a
 * third of the error of a whole forward pass (docs/pack-format.md).
 */
import { hasMinimum, PANEL_HEADER_BYTES, PANEL_ROWS, type QuantizedForm } from "../forms.ts";
import { type PanelViews, TILE_WORDS } from "./panel-views.ts";

/** Bits of the magnitudes of q4s: u8 scales, i8 minima. */
export const SHORT_SCALE_BITS = 8;
export const SHORT_MINIMUM_BITS = 7;

/** Bits of an integer's magnitude; 15 where scales and minima are i16. */
export type IntegerBits = 15 | typeof SHORT_SCALE_BITS | typeof SHORT_MINIMUM_BITS;

/** Where the 16 numbers of a tile lie from its start, and their bits; q4s has no negative scales. */
interface Numbers {
  readonly at: number;
  readonly bits: IntegerBits;
}

/** Of the forms without minima, with them, and of q4s. */
const SCALES: Numbers = { at: 0, bits: 15 };
const SCALES_BEHIND: Numbers = { at: 32, bits: 15 };
const SHORT_SCALES: Numbers = { at: 16, bits: SHORT_SCALE_BITS };
const MINIMA: Numbers = { at: 0, bits: 15 };
const SHORT_MINIMA: Numbers = { at: 0, bits: SHORT_MINIMUM_BITS };

/** The least exponent whose power is a normal f32, so that the kernels make it from bits. */
const MIN_EXPONENT = -126;

/** Scales and minima stay below this power of two: of 15 bits exponents go to 112. */
const MAX_BINADE = 127;

const f64 = new Float64Array(1);
const f64Words = new Uint32Array(f64.buffer);

/**
 * The exponent for values up to this magnitude, which becomes at most 2^bits - 1 (32767), and at least half of that; the
 * least integer, -2^bits, is not used.
 */
export function exponentFor(largest: number, bits: IntegerBits = 15): number {
  if (largest === 0) return 0;
  f64[0] = largest;
  const binade = ((f64Words[1] >>> 20) & 0x7ff) - 1023;
  const exponent = Math.max(MIN_EXPONENT, binade - (bits - 1));
  return largest / powerOfTwo(exponent) > 2 ** bits - 1 ? exponent + 1 : exponent;
}

/** 2^exponent, exact, for normal f64. */
export function powerOfTwo(exponent: number): number {
  f64Words[0] = 0;
  f64Words[1] = (exponent + 1023) << 20;
  return f64[0];
}

/** What the numbers of a row, stored with so many bits, are multiples of. */
export function unitFor(values: Float64Array, bits: IntegerBits): number {
  let largest = 0;
  for (let b = 0; b < values.length; b++) largest = Math.max(largest, Math.abs(values[b]));
  return powerOfTwo(exponentFor(largest, bits));
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
    this.minima = hasMinimum(form) ? new Float64Array(blocks) : undefined;
  }

  /**
   * Writes both into the panel at byte `panel`, rounded to nearest.
   *
   * @returns false when one is infinite or NaN, or a scale of q4s negative.
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
    // The buffer may hold another matrix's: packs are the same bytes however they are made.
    if (!this.minima) out.i8[panel + PANEL_ROWS + row] = 0;
    const places = this.#form === "q4s" ? SHORT_SCALES : this.minima ? SCALES_BEHIND : SCALES;
    return this.#put(this.scales, out, panel, panel + row, row, places, round);
  }

  putMinima(out: PanelViews, panel: number, row: number, round: Rounding): boolean {
    const { minima } = this;
    const header = panel + PANEL_ROWS + row;
    const places = this.#form === "q4s" ? SHORT_MINIMA : MINIMA;
    return !minima || this.#put(minima, out, panel, header, row, places, round);
  }

  #put(
    values: Float64Array,
    { i8, i16 }: PanelViews,
    panel: number,
    header: number,
    row: number,
    { at: first, bits }: Numbers,
    round: Rounding,
  ): boolean {
    let largest = 0;
    for (let b = 0; b < values.length; b++) {
      // NaN fails every comparison, so it is looked for by itself.
      if (!(Math.abs(values[b]) <= largest)) largest = Math.abs(values[b]);
      if (!Number.isFinite(largest) || (bits === SHORT_SCALE_BITS && values[b] < 0)) return false;
    }
    const exponent = exponentFor(largest, bits);
    if (exponent + bits > MAX_BINADE) return false;
    const unit = powerOfTwo(exponent);
    i8[header] = exponent;
    const ints = bits === 15 ? i16 : i8; // a u8 is written as the i8 of its bits
    const tile = (panel + PANEL_HEADER_BYTES + first) / ints.BYTES_PER_ELEMENT + row;
    const stride = (4 * TILE_WORDS[this.#form]) / ints.BYTES_PER_ELEMENT;
    for (let b = 0, at = tile; b < values.length; b++, at += stride) {
      const integer = round(values[b] / unit); // within 2^bits - 1, as exponentFor() chose the unit
      ints[at] = integer;
      values[b] = integer * unit;
    }
    return true;
  }
}
