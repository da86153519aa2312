/** One row of a form with minima, while it is quantized: its blocks' ranges, scales, minima and codes. */
import { BLOCK_COLS, type MinimumForm } from "../forms.ts";
import {
  HEADER_WORDS,
  type PanelViews,
  putQ4,
  putQ6,
  SCALE_WORDS,
  TILE_WORDS,
} from "./panel-views.ts";
import { RowScales } from "./row-scales.ts";

/** The largest code, how codes are laid into a tile, and the words before the place that this counts from. */
const FORMS = {
  q4m: { max: 15, put: putQ4, before: SCALE_WORDS },
  q4s: { max: 15, put: putQ4, before: 0 },
  q6m: { max: 63, put: putQ6, before: SCALE_WORDS },
} as const;

const codes = new Uint8Array(BLOCK_COLS);
const words = new Uint32Array(codes.buffer);

export class MinimumRow {
  /** The largest code. */
  readonly max: number;
  /** Least and largest value of each block, or of its group. */
  readonly lows: Float64Array;
  readonly highs: Float64Array;
  readonly scales: Float64Array;
  readonly minima: Float64Array;
  readonly #form: MinimumForm;
  readonly #rowScales: RowScales;
  /** Blocks that share a scale and a minimum. */
  readonly #perGroup: number;

  constructor(form: MinimumForm, blocks: number, perGroup = 1) {
    this.#form = form;
    this.#perGroup = perGroup;
    this.max = FORMS[form].max;
    this.lows = new Float64Array(blocks);
    this.highs = new Float64Array(blocks);
    this.#rowScales = new RowScales(form, blocks);
    this.scales = this.#rowScales.scales;
    this.minima = this.#rowScales.minima!;
  }

  /** @returns false when a value is infinite or NaN. */
  readRanges(values: Float32Array): boolean {
    let nonFinite = 0;
    for (let b = 0; b < this.lows.length; b++) {
      let low = values[b * BLOCK_COLS];
      let high = low;
      for (let k = b * BLOCK_COLS; k < (b + 1) * BLOCK_COLS; k++) {
        const value = values[k];
        nonFinite += value * 0;
        if (value < low) low = value;
        if (value > high) high = value;
      }
      this.lows[b] = low;
      this.highs[b] = high;
    }
    if (this.#perGroup > 1) this.#joinRanges();
    return nonFinite === 0;
  }

  /** Every block of a group has the range of all: what follows gives equal ranges equal scales. */
  #joinRanges(): void {
    const { lows, highs } = this;
    for (let b = 0; b < lows.length; b += this.#perGroup) {
      const end = Math.min(b + this.#perGroup, lows.length);
      lows.fill(Math.min(...lows.subarray(b, end)), b, end);
      highs.fill(Math.max(...highs.subarray(b, end)), b, end);
    }
  }

  /** Packs the row with scales and minima that cover the ranges; false when one leaves f32. */
  putRanges(values: Float32Array, out: PanelViews, panel: number, row: number): boolean {
    const { scales, minima } = this;
    minima.set(this.lows);
    // Outward, so that [minimum, minimum + max * scale] covers the block: no code is clamped.
    if (!this.#rowScales.putMinima(out, panel, row, Math.floor)) return false;
    for (let b = 0; b < scales.length; b++) scales[b] = (this.highs[b] - minima[b]) / this.max;
    return (
      this.#rowScales.putScales(out, panel, row, Math.ceil) &&
      this.#putCodes(values, out, panel, row)
    );
  }

  /** Packs the row with the scales and minima that are set, rounded to nearest; false as above. */
  putFits(values: Float32Array, out: PanelViews, panel: number, row: number): boolean {
    return this.#rowScales.put(out, panel, row) && this.#putCodes(values, out, panel, row);
  }

  /** Sum of importance times squared difference, with the scales and minima as they were packed. */
  error(values: Float32Array, importance: Float64Array): number {
    let sum = 0;
    for (let b = 0; b < this.scales.length; b++) {
      const scale = this.scales[b];
      const minimum = this.minima[b];
      const inverse = scale === 0 ? 0 : 1 / scale;
      for (let k = b * BLOCK_COLS; k < (b + 1) * BLOCK_COLS; k++) {
        const difference = values[k] - minimum;
        const error = difference - this.#code(difference * inverse) * scale;
        sum += importance[k] * error * error;
      }
    }
    return sum;
  }

  #code(steps: number): number {
    const code = Math.floor(steps + 0.5);
    return code < 0 ? 0 : code > this.max ? this.max : code;
  }

  #putCodes(values: Float32Array, out: PanelViews, panel: number, row: number): boolean {
    const form = this.#form;
    const { put, before } = FORMS[form];
    let tile = panel / 4 + HEADER_WORDS + before;
    for (let b = 0; b < this.scales.length; b++, tile += TILE_WORDS[form]) {
      const scale = this.scales[b];
      const minimum = this.minima[b];
      // Rounding scale and minimum may take the ends of the grid out of f32's range.
      if (!Number.isFinite(Math.fround(scale * this.max + minimum))) return false;
      const inverse = scale === 0 ? 0 : 1 / scale;
      for (let k = 0; k < BLOCK_COLS; k++) {
        codes[k] = this.#code((values[b * BLOCK_COLS + k] - minimum) * inverse);
      }
      put(out.u32, tile, row, words);
    }
    return true;
  }
}
