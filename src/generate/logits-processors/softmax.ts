/** Softmax of a row, computed in f64 and rounded to f32 once, within a unit of the reference's. */
import { exp, log } from "../exp-log.ts";

/** Probabilities. A row without a finite number gives NaN, as in the reference. */
export function softmax(scores: Float32Array): Float32Array {
  const weights = new Float64Array(scores.length);
  const total = weigh(scores, weights);
  return Float32Array.from(weights, (weight) => weight / total);
}

/** Logarithms of the probabilities. */
export function logSoftmax(scores: Float32Array): Float32Array {
  const largest = largestOf(scores);
  const logTotal = log(weigh(scores, undefined));
  return scores.map((score) => score - largest - logTotal);
}

/** Entropy in nats: tokens without probability add nothing. */
export function entropy(logProbabilities: Float32Array): number {
  let sum = 0;
  for (const value of logProbabilities) {
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
  for (const score of scores) if (score > largest) largest = score;
  return largest;
}
