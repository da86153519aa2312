/**
 * What changes scores before a token is drawn. Formulas are Hugging Face's (generation/
 * logits_process.py) and, for frequency and presence, OpenAI's. Scores are f32 and every step rounds
 * to f32, as there.
 *
 * Order, in sampler.ts: repetition_penalty, frequency and presence, logit_bias, then temperature,
 * top_k, top_p, min_p, typical_p.
 */
import { PronkError } from "../errors.ts";
import {
  type Candidates,
  findCut,
  keepAbove,
  keepAtLeast,
  keepFirst,
  largestScore,
} from "./candidates.ts";
import { exp, log } from "./exp-log.ts";
import { entropy, logSoftmax } from "./logits-processors/softmax.ts";

/** How often each id occurs in the output; ids of the prompt are present with 0. */
export type TokenCounts = ReadonlyMap<number, number>;

/**
 * Divides positive scores of every id that occurred, in prompt or output, and multiplies negative
 * ones. Once an id, however often it occurred.
 */
export function penalizeRepetition(
  scores: Float32Array,
  counts: TokenCounts,
  penalty: number,
): void {
  const rounded = Math.fround(penalty);
  for (const id of counts.keys()) {
    const score = scores[id];
    scores[id] = score < 0 ? score * rounded : score / rounded;
  }
}

/** score -= count * frequency + (count > 0 ? presence : 0), by count in the output. */
export function penalizeCounts(
  scores: Float32Array,
  counts: TokenCounts,
  frequency: number,
  presence: number,
): void {
  for (const [id, count] of counts) {
    if (count > 0) scores[id] = scores[id] - count * frequency - presence;
  }
}

/** Adds to the scores of these ids; +-100 in practice forces or bans a token. */
export function biasLogits(scores: Float32Array, bias: ReadonlyMap<number, number>): void {
  for (const [id, value] of bias) scores[id] = scores[id] + value;
}

/** Divides every score. `temperature` is above 0. */
export function applyTemperature({ scores, count }: Candidates, temperature: number): void {
  const divisor = Math.fround(temperature);
  for (let i = 0; i < count; i++) scores[i] = scores[i] / divisor;
}

/** Keeps the k best, and every score equal to the last of them, as Hugging Face does. k is above 0. */
export function keepTopK(candidates: Candidates, k: number): void {
  if (k >= candidates.count) return;
  const cut = findCut(candidates, k, undefined);
  if (cut !== undefined) keepAtLeast(candidates, cut.score);
}

/** In log units: far above what f32 scores and the sums round away, too little to matter in speed. */
const TOP_P_SLACK = 0.01;

/**
 * Keeps the fewest best tokens whose probabilities add up to `p`, at least one; of equal scores at
 * the border the lowest ids.
 */
export function keepTopP(candidates: Candidates, p: number): void {
  const { scores, count } = candidates;
  const largest = largestScore(candidates);
  const total = sumWeights(scores, count, largest);
  if (!(total > 0)) throw notNumbers();
  // All tokens lighter than (1 - p) / count of the whole are together lighter than 1 - p of it, so
  // none of them is kept: most of a vocabulary is gone before the search. The slack outweighs rounding.
  keepAtLeast(candidates, largest + log(((1 - p) * total) / count) - TOP_P_SLACK);
  weigh(candidates);
  // Above 0 so that p = 0 keeps the best token; its weight is 1.
  const target = Math.max(p * total, Number.MIN_VALUE);
  const cut = findCut(candidates, target, candidates.weights);
  if (cut !== undefined) keepAbove(candidates, cut.score, cut.ties);
}

/** Keeps tokens at least `p` times as likely as the likeliest: score >= largest + log p. */
export function keepMinP(candidates: Candidates, p: number): void {
  keepAtLeast(candidates, largestScore(candidates) + log(p));
}

/**
 * Keeps the tokens whose information, -log p, is nearest to the entropy, the fewest whose probabilities add up to
 * `mass`, and every other as near as the last of them: Hugging Face's TypicalLogitsWarper (arXiv:2202.00666).
 */
export function keepTypical(candidates: Candidates, mass: number): void {
  const { ids, scores, weights, count } = candidates;
  const logProbabilities = logSoftmax(scores.subarray(0, count));
  const expected = Math.fround(entropy(logProbabilities));
  const given = scores.slice(0, count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    // The nearer to the entropy, the larger: the search is for the largest.
    scores[i] = -Math.abs(-logProbabilities[i] - expected);
    total += weights[i] = exp(logProbabilities[i]);
  }
  // Above 0 so that a mass of 0 keeps the nearest.
  const cut = findCut(candidates, Math.max(mass * total, Number.MIN_VALUE), weights);
  const least = cut?.score ?? Number.NEGATIVE_INFINITY;
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if (scores[i] < least) continue;
    ids[kept] = ids[i];
    weights[kept] = weights[i];
    scores[kept++] = given[i];
  }
  keepFirst(candidates, kept);
}

/**
 * Sets `weights` to e^(score - largest) and gives their sum, added by id: the probabilities without
 * their common divisor. NaN or 0 when the scores hold NaN, +Infinity or nothing else than -Infinity.
 */
export function weigh(candidates: Candidates): number {
  const { scores, weights, count } = candidates;
  return fillWeights(weights, scores, count, largestScore(candidates));
}

function fillWeights(
  weights: Float64Array,
  scores: Float32Array,
  count: number,
  largest: number,
): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += weights[i] = exp(scores[i] - largest);
  return total;
}

/** What weigh() returns, without the weights. */
function sumWeights(scores: Float32Array, count: number, largest: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += exp(scores[i] - largest);
  return total;
}

/** What a broken model's logits end a generation with. */
export function notNumbers(): PronkError {
  return new PronkError("engine_failed", "sampler: the logits hold no finite number or a NaN");
}
