/** What a chooser is asked of a row of logits, computed from all of them: the meaning of `RowChoice`. */
import type { DrawChoice, LargestChoice, LargestLogits } from "./backend.ts";
import { gumbel, noiseBits, noiseFraction, seedWords } from "./token-noise.ts";

/** Of `LargestLogits.total`, relative: what sums of f32 by a GPU's exp come to, with room. */
export const TOTAL_ERROR: number = 2 ** -16;

/** The id of the largest; of equal ones the lowest, and NaN never. 0 where nothing else is. */
export function argmaxOf(logits: Float32Array): number {
  let best = 0;
  let largest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    if (!(logits[id] > largest)) continue;
    largest = logits[id];
    best = id;
  }
  return best;
}

/** The id with the largest logit / temperature + noise, in f32; of equal ones the lowest, and NaN never. */
export function drawToken(
  logits: Float32Array,
  { temperature, seed, index }: Pick<DrawChoice, "temperature" | "seed" | "index">,
): number {
  const [low, high] = seedWords(seed);
  const divisor = Math.fround(temperature);
  let best = 0;
  let largest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const noise = gumbel(noiseFraction(noiseBits(low, high, index, id)));
    const score = Math.fround(Math.fround(logits[id] / divisor) + noise);
    if (!(score > largest)) continue;
    largest = score;
    best = id;
  }
  return best;
}

/** The largest, from the largest on, equal ones by their ids; NaN never. */
export function largestLogits(
  logits: Float32Array,
  { count, temperature }: Pick<LargestChoice, "count" | "temperature">,
): LargestLogits {
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id];
    if (Number.isNaN(logit)) continue;
    if (ids.length === count && !(logit > logits[ids[count - 1]])) continue;
    // Ids come ascending, so an equal one already in the list stays before this one.
    let at = Math.min(ids.length, count - 1);
    for (; at > 0 && logit > logits[ids[at - 1]]; at--) ids[at] = ids[at - 1];
    ids[at] = id;
  }
  const total =
    temperature === undefined ? undefined : totalOf(logits, logits[ids[0]], temperature);
  return { ids, logits: Float32Array.from(ids, (id) => logits[id]), total };
}

function totalOf(logits: Float32Array, largest: number, temperature: number): number {
  let total = 0;
  for (const logit of logits) total += Math.exp((logit - largest) / temperature);
  return total;
}
