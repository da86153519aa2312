/** The losses of Hugging Face's models, in f64: means over what counts; NaN where nothing does. */
import { IGNORED_LABEL } from "./forward-inputs.ts";

/** Rows of `classes` scores each, with a label per row. */
interface Scored {
  readonly scores: Float32Array;
  readonly classes: number;
  readonly labels: readonly number[];
  /** Rows whose label is this do not count. Default: -100. */
  readonly ignored?: number;
  /** Divides the sum instead of the number of rows that count. */
  readonly itemsInBatch?: number;
}

/** Minus the mean log-probability of the labels. */
export function crossEntropy({ scores, classes, labels, ignored, itemsInBatch }: Scored): number {
  let sum = 0;
  let count = 0;
  for (const [row, label] of labels.entries()) {
    if (label === (ignored ?? IGNORED_LABEL)) continue;
    const own = scores.subarray(row * classes, (row + 1) * classes);
    const largest = own.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
    let total = 0;
    for (const score of own) total += Math.exp(score - largest);
    sum += Math.log(total) + largest - own[label];
    count++;
  }
  return sum / (itemsInBatch ?? count);
}

/** Binary cross entropy of each score, of several labels that hold at once. */
export function binaryCrossEntropy(scores: Float32Array, labels: readonly number[]): number {
  let sum = 0;
  for (const [i, x] of scores.entries()) {
    sum += Math.max(x, 0) - x * labels[i] + Math.log1p(Math.exp(-Math.abs(x)));
  }
  return sum / scores.length;
}

export function meanSquaredError(scores: Float32Array, labels: readonly number[]): number {
  let sum = 0;
  for (const [i, x] of scores.entries()) sum += (x - labels[i]) ** 2;
  return sum / scores.length;
}
