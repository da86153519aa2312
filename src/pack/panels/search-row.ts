/**
 * Rows of a form with minima, quantized with the scales and minima that lose least, instead of those
 * that cover each block's range. docs/pack-format.md says what it gains.
 */
import { BLOCK_COLS, type MinimumForm } from "../forms.ts";
import { type BlockFit, fitBlock } from "./block-search.ts";
import { MinimumRow } from "./minimum-row.ts";
import type { RowQuantizer } from "./quantize-row.ts";
import { roundFits } from "./round-fits.ts";

/** Of the mean importance, what every column has: one that a text leaves alone may live in others. */
const LEAST_SHARE = 0.001;

/**
 * A packer for rows of `cols` values. Its error is the sum of `importance` (cols) times squared
 * difference; without it every column counts alike. No row comes out worse than rounded to nearest.
 * Each `groupCols` columns, a multiple of 32, share a scale and a minimum; the last may be fewer.
 *
 * About 50 ns a weight, of q4s 80.
 */
export function searchingQuantizer(
  form: MinimumForm,
  cols: number,
  importance?: Float32Array,
  groupCols: number = BLOCK_COLS,
): RowQuantizer {
  const weights = weightsOf(cols, importance);
  const perGroup = groupCols / BLOCK_COLS;
  const minimumRow = new MinimumRow(form, cols / BLOCK_COLS, perGroup);
  const { scales, minima, lows, highs, max } = minimumRow;
  const fit: BlockFit = { scale: 0, minimum: 0 };

  return (values, out, panel, row) => {
    if (!minimumRow.readRanges(values)) return false;
    if (!minimumRow.putRanges(values, out, panel, row)) return false;
    const nearest = minimumRow.error(values, weights);
    for (let b = 0; b < scales.length; b += perGroup) {
      const end = Math.min(b + perGroup, scales.length);
      fitBlock(values, weights, b * BLOCK_COLS, end * BLOCK_COLS, lows[b], highs[b], max, fit);
      scales.fill(fit.scale, b, end);
      minima.fill(fit.minimum, b, end);
    }
    if (form === "q4s") roundFits(values, weights, scales, minima, max);
    // Fits are made before rounding: where a row's blocks differ by orders of magnitude, that may
    // cost a small block more than the search gained.
    const isBetter =
      minimumRow.putFits(values, out, panel, row) && minimumRow.error(values, weights) <= nearest;
    return isBetter || minimumRow.putRanges(values, out, panel, row);
  };
}

function weightsOf(cols: number, importance: Float32Array | undefined): Float64Array {
  const weights = new Float64Array(cols).fill(1);
  let sum = 0;
  if (importance) for (let c = 0; c < cols; c++) sum += importance[c];
  if (!importance || sum === 0) return weights;
  const least = (LEAST_SHARE * sum) / cols;
  return weights.map((_, c) => importance[c] + least);
}
