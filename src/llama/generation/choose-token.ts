/** From scores to a token: the largest, or one drawn with a number that depends on seed and index alone. */
import { exp } from "../../generate/exp-log.ts";
import { notNumbers } from "../../generate/processors.ts";
import { toSeed, uniformAt } from "../../generate/random.ts";

/** The id chosen from (vocab,) scores; `index` says which random number is drawn. */
export type ChooseToken = (scores: Float32Array, index: number) => number;

/** @throws PronkError "engine_failed", when it is called, where no score is a number. */
export function createChooser(do_sample: boolean, seed: number): ChooseToken {
  if (!do_sample) return (scores) => argmax(scores);
  const bits = toSeed(seed);
  return (scores, index) => draw(scores, uniformAt(bits, index));
}

/** The lowest id of the largest score. */
export function argmax(scores: Float32Array): number {
  let best = -1;
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] > largest) {
      largest = scores[i];
      best = i;
    }
  }
  if (best < 0) throw notNumbers();
  return best;
}

/** The first id at which the running sum of probabilities passes `uniform`. */
export function draw(scores: Float32Array, uniform: number): number {
  const largest = scores[argmax(scores)];
  let total = 0;
  for (const score of scores) total += exp(score - largest);
  if (!(total > 0)) throw notNumbers();
  const target = uniform * total;
  let sum = 0;
  let last = 0;
  for (let i = 0; i < scores.length; i++) {
    const weight = exp(scores[i] - largest);
    if (weight === 0) continue;
    sum += weight;
    last = i;
    if (sum > target) break;
  }
  return last;
}
