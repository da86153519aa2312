/**
 * The fits of a row's blocks, rounded to the 8-bit integers of q4s: each block takes the pair of scale
 * and minimum about its fit that loses least. Rounded to nearest one by one, a minimum may be off by a
 * third of a step, which a scale made for it partly repairs.
 *
 * As in block-search.ts every engine gives the same bytes.
 */
import { BLOCK_COLS } from "../forms.ts";
import { SHORT_MINIMUM_BITS, SHORT_SCALE_BITS, unitFor } from "./row-scales.ts";

const MAX_SCALE = 2 ** SHORT_SCALE_BITS - 1;
const MAX_MINIMUM = 2 ** SHORT_MINIMUM_BITS - 1;

/**
 * Replaces scales and minima, one a block of `values`, by multiples of their units. Codes go from 0 to
 * `max`; `importance` (values.length) is what an error of each column counts.
 */
export function roundFits(
  values: Float32Array,
  importance: Float64Array,
  scales: Float64Array,
  minima: Float64Array,
  max: number,
): void {
  const scaleUnit = unitFor(scales, SHORT_SCALE_BITS);
  const minimumUnit = unitFor(minima, SHORT_MINIMUM_BITS);
  for (let b = 0; b < scales.length; b++) {
    const start = b * BLOCK_COLS;
    const fit = scales[b];
    const below = Math.floor(minima[b] / minimumUnit);
    let least = Number.POSITIVE_INFINITY;
    for (let i = Math.max(-MAX_MINIMUM, below); i <= Math.min(MAX_MINIMUM, below + 1); i++) {
      const minimum = i * minimumUnit;
      const first = Math.floor(scaleFor(values, importance, start, fit, minimum, max) / scaleUnit);
      for (let j = Math.min(MAX_SCALE, first); j <= Math.min(MAX_SCALE, first + 1); j++) {
        const scale = j * scaleUnit;
        const error = errorOf(values, importance, start, scale, minimum, max);
        if (error < least) {
          least = error;
          scales[b] = scale;
          minima[b] = minimum;
        }
      }
    }
  }
}

/** The scale that loses least with this minimum and the codes that `scale` gives; not negative. */
function scaleFor(
  values: Float32Array,
  importance: Float64Array,
  start: number,
  scale: number,
  minimum: number,
  max: number,
): number {
  const inverse = scale === 0 ? 0 : 1 / scale;
  let sumQQ = 0;
  let sumQX = 0;
  for (let k = start; k < start + BLOCK_COLS; k++) {
    const x = values[k] - minimum;
    const hq = importance[k] * codeFor(x * inverse, max);
    sumQQ += hq * codeFor(x * inverse, max);
    sumQX += hq * x;
  }
  const best = sumQX / sumQQ;
  return best > 0 && Number.isFinite(best) ? best : scale;
}

function errorOf(
  values: Float32Array,
  importance: Float64Array,
  start: number,
  scale: number,
  minimum: number,
  max: number,
): number {
  const inverse = scale === 0 ? 0 : 1 / scale;
  let sum = 0;
  for (let k = start; k < start + BLOCK_COLS; k++) {
    const x = values[k] - minimum;
    const error = x - codeFor(x * inverse, max) * scale;
    sum += importance[k] * error * error;
  }
  return sum;
}

function codeFor(steps: number, max: number): number {
  const code = Math.floor(steps + 0.5);
  return code < 0 ? 0 : code > max ? max : code;
}
