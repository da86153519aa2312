/**
 * Scores of which only the largest are known, as a backend that chooses by itself gives them: what can be said of all
 * others. A filter that can be shown to drop every other score leaves exactly what it leaves of all scores, in the same
 * order, so that whatever comes after it gives the same bits.
 */
import type { LargestLogits } from "../backends/backend.ts";
import { TOTAL_ERROR } from "../backends/row-choices.ts";
import {
  type Candidates,
  findCut,
  keepAbove,
  keepAtLeast,
  keepFirst,
  largestScore,
} from "./candidates.ts";
import { exp, log } from "./exp-log.ts";
import { keepTopK, weigh } from "./processors.ts";

/** What happens to scores before a token is drawn: in place, on (vocab,) scores by id. */
export interface ScoreChanges {
  /** Ids whose scores `change` may change. */
  touched(): Iterable<number>;
  /** Takes away what may not come and gives how many may. */
  mask: ((scores: Float32Array) => number) | undefined;
  /** Grows with each score. */
  change(scores: Float32Array): void;
  /** What they are divided by. */
  readonly temperature: number;
}

/** Of the scores that are not among the candidates, but may come. */
export interface Others {
  /** None is above it; -Infinity: there is none. */
  readonly bound: number;
  /** Their sum of e^(score - the candidates' largest) is between these. */
  readonly least: number;
  readonly most: number;
}

/** The candidates are all, or what is left of all: every sum over them is that over all, bit by bit. */
export const NO_OTHERS: Others = { bound: Number.NEGATIVE_INFINITY, least: 0, most: 0 };

/** Relative: above what sums of f64 over a vocabulary round, in whatever order. */
const ROUNDING = 1e-9;

/** A score divided by the temperature is rounded to f32: e^score is wrong by so much of the score. */
const SCORE_ROUNDING = 2.4e-7;
/** How far below the largest the bulk of a softmax's weight is, at most. */
const BULK = 16;

/**
 * Makes the known scores, changed, the candidates, by id; without those that may not come.
 *
 * @returns undefined where nothing can be said: they are not numbers.
 */
export function takeLargest(
  candidates: Candidates,
  { ids, logits, total }: LargestLogits,
  { touched, mask, change, temperature }: ScoreChanges,
): Others | undefined {
  const { scores } = candidates;
  const known = ids.length;
  const largest = logits[0];
  const floor = logits[known - 1];
  if (known === 0 || !Number.isFinite(largest)) return undefined;
  if (total !== undefined && !Number.isFinite(total)) return undefined;

  // What is not known is at most `floor`; what changes grows with it, so that its bound changes as it does.
  const unknown = new Set(touched());
  for (const id of unknown) scores[id] = floor;
  for (let i = 0; i < known; i++) {
    unknown.delete(ids[i]);
    scores[ids[i]] = logits[i];
  }
  let others = (mask === undefined ? scores.length : mask(scores)) - known;
  if (mask !== undefined) {
    for (let i = 0; i < known; i++) if (scores[ids[i]] === Number.NEGATIVE_INFINITY) others++;
    for (const id of unknown) if (scores[id] === Number.NEGATIVE_INFINITY) unknown.delete(id);
  }
  others = Math.max(0, others - unknown.size);
  change(scores);

  const divisor = Math.fround(temperature);
  const changed = Array.from(unknown, (id) => Math.fround(scores[id] / divisor));
  gather(candidates, ids);
  if (candidates.count === 0) return undefined;
  for (let i = 0; i < candidates.count; i++) scores[i] = scores[i] / divisor;
  if (others === 0 && changed.length === 0) return NO_OTHERS;

  const floorScore = Math.fround(floor / divisor);
  const base = largestScore(candidates);
  let bound = others > 0 ? floorScore : Number.NEGATIVE_INFINITY;
  let most = others * exp(floorScore - base);
  let least = 0;
  if (total !== undefined) {
    const rest = restOf(total, logits, divisor);
    // From the largest logit to the largest candidate.
    const scale = exp(largest / divisor - base);
    if (scale * rest.most < most) most = scale * rest.most;
    const gone = unknown.size * exp((floor - largest) / divisor);
    if (mask === undefined && rest.least > gone) least = scale * (rest.least - gone);
  }
  for (const score of changed) {
    bound = Math.max(bound, score);
    most += exp(score - base);
  }
  return { bound, least: least * (1 - ROUNDING), most: most * (1 + ROUNDING) };
}

/** What the logits that are not known are of the total. */
function restOf(
  total: number,
  logits: Float32Array,
  divisor: number,
): { readonly least: number; readonly most: number } {
  const largest = logits[0];
  let known = 0;
  for (let i = 0; i < logits.length; i++) known += exp((logits[i] - largest) / divisor);
  const error = total * (TOTAL_ERROR + SCORE_ROUNDING * (Math.abs(largest / divisor) + BULK));
  return { least: Math.max(0, total - error - known), most: Math.max(0, total + error - known) };
}

/** Of scores by id those of `ids`, ascending; not what may not come. */
function gather(candidates: Candidates, known: ArrayLike<number>): void {
  const { ids, scores } = candidates;
  const ascending = Int32Array.from(known).sort();
  let count = 0;
  for (const id of ascending) {
    const score = scores[id];
    if (!(score > Number.NEGATIVE_INFINITY)) continue;
    ids[count] = id;
    // Its place is not behind its id: no score that is still to be read is written over.
    scores[count++] = score;
  }
  keepFirst(candidates, count);
}

/** As keepTopK over all, as far as that can be told. */
export function keepLargestK(candidates: Candidates, others: Others, k: number): Others {
  if (others === NO_OTHERS) {
    keepTopK(candidates, k);
    return NO_OTHERS;
  }
  const cut = k > candidates.count ? undefined : findCut(candidates, k, undefined);
  if (cut !== undefined && cut.score > others.bound) {
    keepAtLeast(candidates, cut.score);
    return NO_OTHERS;
  }
  // Fewer than k are above the bound: they stay, and of the rest, known or not, some.
  let { most } = others;
  const base = largestScore(candidates);
  for (let i = 0; i < candidates.count; i++) {
    const score = candidates.scores[i];
    if (score <= others.bound) most += exp(score - base);
  }
  keepAbove(candidates, others.bound, 0);
  return { bound: others.bound, least: 0, most };
}

/** As keepTopP over all; undefined where that cannot be told. */
export function keepLargestP(
  candidates: Candidates,
  { bound, least, most }: Others,
  p: number,
): Others | undefined {
  const known = weigh(candidates);
  // Where the border is the same for every total that there may be, it is that of all.
  const low = Math.max(p * (known + least) * (1 - ROUNDING), Number.MIN_VALUE);
  const high = Math.max(p * (known + most) * (1 + ROUNDING), Number.MIN_VALUE);
  const cut = findCut(candidates, low, candidates.weights);
  const other = findCut(candidates, high, candidates.weights);
  if (cut === undefined || other === undefined) return undefined;
  if (cut.score !== other.score || cut.ties !== other.ties || !(cut.score > bound)) {
    return undefined;
  }
  keepAbove(candidates, cut.score, cut.ties);
  return NO_OTHERS;
}

/** As keepMinP over all; undefined where that cannot be told. */
export function keepLargestMinP(
  candidates: Candidates,
  { bound }: Others,
  p: number,
): Others | undefined {
  const least = largestScore(candidates) + log(p);
  if (!(least > bound)) return undefined;
  keepAtLeast(candidates, least);
  return NO_OTHERS;
}
