/** Softmax of a row, computed in f64 and rounded to f32 once, within a unit of the reference's. */
import { exp, log } from "../exp-log.ts";

/** Probabilities. A row without a finite number gives NaN, as in the reference. */
export function softmax(scores: Float32Array): Float32Array {
  const weights = new Float64Array(scores.length);
  const total = weigh(scores, weights);
  const probabilities = new Float32Array(scores.length);
  for (let i = 0; i < scores.length; i++) probabilities[i] = weights[i] / total;
  return probabilities;
}

/** Logarithms of the probabilities. */
export function logSoftmax(scores: Float32Array): Float32Array {
  const largest = largestOf(scores);
  const logTotal = log(weigh(scores, undefined));
  const logProbabilities = new Float32Array(scores.length);
  for (let i = 0; i < scores.length; i++) logProbabilities[i] = scores[i] - largest - logTotal;
  return logProbabilities;
}

/** Entropy in nats: tokens without probability add nothing. */
export function entropy(logProbabilities: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < logProbabilities.length; i++) {
    const value = logProbabilities[i];
    const part = value * Math.fround(exp(value));
    if (!Number.isNaN(part)) sum -= part;
  }
  return sum;
}

/** Sum of e^(score - largest), which go to `weights`. */
function weigh(scores: Float32Array, weights: Float64Array | undefined): number {
  const largest = largestOf(scores);
  let total = 0;
  for (let i = 0; i < scores.length; i++) {
    const weight = exp(scores[i] - largest);
    if (weights) weights[i] = weight;
    total += weight;
  }
  return total;
}

function largestOf(scores: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < scores.length; i++) if (scores[i] > largest) largest = scores[i];
  return largest;
}
