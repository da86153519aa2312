/**
 * From logits to a token, the same one on every runtime: exact arithmetic, ties by the lowest id, and
 * a random number that depends on the seed and the token's index alone.
 *
 * Where a backend chooses by itself (Runner.chooser) it is asked for the arg max, for a draw by its own noise, or for the
 * largest logits, of which `choose` gives the token that `sample` gives of all.
 *
 * Order: what a grammar does not allow, repetition_penalty, frequency_penalty and presence_penalty, logit_bias; then, unless greedy,
 * temperature, top_k, top_p, min_p, typical_p (Hugging Face's order of warpers) and one draw.
 */
import type { LargestLogits, RowChoice } from "../backends/backend.ts";
import { type Candidates, fillCandidates, largestScore } from "./candidates.ts";
import type { Constraint } from "./constraint.ts";
import {
  keepLargestK,
  keepLargestMinP,
  keepLargestP,
  NO_OTHERS,
  type Others,
  type ScoreChanges,
  takeLargest,
} from "./largest-scores.ts";
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
  /**
   * What to ask of a backend that chooses by itself; undefined: the logits. Depends on the options alone: the same draw
   * is asked for each token.
   *
   * @param most largest logits that it gives.
   */
  ask(index: number, most: number): RowChoice | undefined;
  /** What `sample` gives of all logits, from the largest; undefined where these do not tell. */
  choose(largest: LargestLogits, index: number): number | undefined;
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
  const isPlain = !counting && !biased && constraint === undefined;
  const isCut = topK > 0 || topP < 1 || minP > 0;

  const change = (scores: Float32Array): void => {
    if (repetition !== 1) penalizeRepetition(scores, counts, repetition);
    if (frequency !== 0 || presence !== 0) penalizeCounts(scores, counts, frequency, presence);
    if (biased) biasLogits(scores, bias);
  };
  const changes: ScoreChanges = {
    *touched() {
      yield* counts.keys();
      if (biased) yield* bias.keys();
    },
    mask: constraint && ((scores) => constraint.mask(scores)),
    change,
    temperature: draws ? temperature : 1,
  };

  return {
    greedy: !draws && isPlain,
    ask(index, most) {
      if (isPlain && !draws) return { kind: "argmax" };
      if (isPlain && !isCut && !(typicalP < 1)) return { kind: "draw", temperature, seed, index };
      // Of a draw among all tokens the largest say nothing, unless a grammar leaves few.
      if (most === 0 || (draws && !isCut && constraint === undefined)) return undefined;
      return { kind: "largest", count: most, ...(draws && { temperature }) };
    },
    choose(largest, index) {
      const candidates = scratch();
      let others: Others | undefined = takeLargest(candidates, largest, changes);
      if (others === undefined || !(largestScore(candidates) > others.bound)) return undefined;
      if (!draws) return largestId(candidates);
      if (topK > 0) others = keepLargestK(candidates, others, topK);
      if (topP < 1) others = keepLargestP(candidates, others, topP);
      if (others && minP > 0) others = keepLargestMinP(candidates, others, minP);
      if (others !== NO_OTHERS) return undefined;
      if (typicalP < 1) keepTypical(candidates, typicalP);
      return draw(candidates, uniformAt(seed, index));
    },
    sample(logits, index) {
      const candidates = scratch();
      fillCandidates(candidates, logits);
      const { scores } = candidates;
      constraint?.mask(scores);
      change(scores);
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

/** The id of the best candidate; the lowest wins a tie. */
function largestId({ ids, scores, count }: Candidates): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (scores[i] > scores[best]) best = i;
  return ids[best];
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
