/**
 * From logits to a token, the same one on every runtime: exact arithmetic, ties by the lowest id, and
 * a random number that depends on the seed and the token's index alone.
 *
 * Order: what a grammar does not allow, repetition_penalty, frequency_penalty and presence_penalty, logit_bias; then, unless greedy,
 * temperature, top_k, top_p, min_p, typical_p (Hugging Face's order of warpers) and one draw.
 */
import { type Candidates, fillCandidates } from "./candidates.ts";
import type { Constraint } from "./constraint.ts";
import {
  applyTemperature,
  biasLogits,
  keepMinP,
  keepTopK,
  keepTopP,
  keepTypical,
  notNumbers,
  penalizeCounts,
  penalizeRepetition,
  weigh,
} from "./processors.ts";
import { toSeed, uniformAt } from "./random.ts";
import type { SamplingOptions } from "./request.ts";

/** Changes whenever the same logits and seed may give another token; part of the fingerprint. */
export const SAMPLER_VERSION = 1;

/** Below it, logits divided by the temperature leave f32, and the draw is the arg max anyway. */
export const GREEDY_BELOW = 1e-5;

export type SeededSampling = SamplingOptions & { readonly seed: number };

export interface Sampler {
  /** True when the token is simply the arg max of the logits, so that a backend can find it. */
  readonly greedy: boolean;
  /**
   * The next token. `logits` is not changed. Does not count the token: see `accept`.
   *
   * @param index tokens generated so far: which random number is drawn.
   * @throws PronkError "engine_failed" when the logits are not numbers.
   */
  sample(logits: Float32Array, index: number): number;
  /** Tells the penalties that `id` is part of the output now. */
  accept(id: number): void;
}

/**
 * @param options in the ranges of resolve-request.ts.
 * @param promptIds for repetition_penalty.
 * @param scratch makes candidates for the vocabulary; not called while `greedy`.
 * @param constraint takes away what may not come.
 */
export function createSampler(
  options: SeededSampling,
  promptIds: ArrayLike<number>,
  scratch: () => Candidates,
  constraint?: Pick<Constraint, "mask">,
): Sampler {
  const temperature = options.temperature ?? 1;
  const repetition = options.repetition_penalty ?? 1;
  const frequency = options.frequency_penalty ?? 0;
  const presence = options.presence_penalty ?? 0;
  const bias = options.logit_bias;
  const topK = options.top_k ?? 0;
  const topP = options.top_p ?? 1;
  const minP = options.min_p ?? 0;
  const typicalP = options.typical_p ?? 1;
  const seed = toSeed(options.seed);

  const counts = new Map<number, number>();
  const counting = repetition !== 1 || frequency !== 0 || presence !== 0;
  if (repetition !== 1) for (let i = 0; i < promptIds.length; i++) counts.set(promptIds[i], 0);
  const biased = bias !== undefined && bias.size > 0;
  const draws = temperature >= GREEDY_BELOW;

  return {
    greedy: !draws && !counting && !biased && constraint === undefined,
    sample(logits, index) {
      const candidates = scratch();
      fillCandidates(candidates, logits);
      const { scores } = candidates;
      constraint?.mask(scores);
      if (repetition !== 1) penalizeRepetition(scores, counts, repetition);
      if (frequency !== 0 || presence !== 0) penalizeCounts(scores, counts, frequency, presence);
      if (biased) biasLogits(scores, bias);
      if (!draws) return argmax(scores);

      if (temperature !== 1) applyTemperature(candidates, temperature);
      if (topK > 0) keepTopK(candidates, topK);
      if (topP < 1) keepTopP(candidates, topP);
      if (minP > 0) keepMinP(candidates, minP);
      if (typicalP < 1) keepTypical(candidates, typicalP);
      return draw(candidates, uniformAt(seed, index));
    },
    accept(id) {
      if (counting) counts.set(id, (counts.get(id) ?? 0) + 1);
    },
  };
}

/** The id of the largest; the lowest id wins a tie. */
function argmax(scores: Float32Array): number {
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

/** The first candidate, by id, at which the running sum of weights passes `uniform` of the whole. */
function draw(candidates: Candidates, uniform: number): number {
  const total = weigh(candidates);
  if (!(total > 0)) throw notNumbers();
  const { ids, weights, count } = candidates;
  const target = uniform * total;
  let sum = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    if (weights[i] === 0) continue;
    sum += weights[i];
    last = i;
    // uniform < 1, but the product may round up to the total: then the last one is drawn.
    if (sum > target) break;
  }
  return ids[last];
}
