/**
 * The tokens that may still be drawn, with their scores: what the filters narrow. Ids stay ascending,
 * so "lowest id first" is plain order. Filters never sort the vocabulary: they find their cut with a
 * histogram and then look only at the bucket that holds it.
 */

/** Scratch for one vocabulary, shared by all samplers: sampling one token is never interrupted. */
export interface Candidates {
  /** Tokens in the arrays: [0, count) is in use. */
  count: number;
  /** Entries of `ids` that a filter may have changed: from here on each is its own index. */
  changed: number;
  /** Ascending. */
  readonly ids: Int32Array;
  readonly scores: Float32Array;
  /** Working space of a filter: e^(score - largest), then free. */
  readonly weights: Float64Array;
  /** Working space of the selection: members of the bucket that holds the cut. */
  readonly members: Int32Array;
  /** The scores' bits. */
  readonly bits: Int32Array;
}

/** 20 bytes a token: 1 MB for a vocabulary of 49,152, 2.6 MB for 128,256. */
export function createCandidates(vocab: number): Candidates {
  const scores = new Float32Array(vocab);
  return {
    count: 0,
    changed: vocab,
    ids: new Int32Array(vocab),
    scores,
    weights: new Float64Array(vocab),
    members: new Int32Array(vocab),
    bits: new Int32Array(scores.buffer),
  };
}

/** Takes all of `logits`, as they are. */
export function fillCandidates(candidates: Candidates, logits: Float32Array): void {
  candidates.scores.set(logits);
  candidates.count = logits.length;
  const { ids, changed } = candidates;
  for (let i = 0; i < changed; i++) ids[i] = i;
  candidates.changed = 0;
}

/** Only the first `count` candidates, which a filter has moved to the front, remain. */
export function keepFirst(candidates: Candidates, count: number): void {
  candidates.count = count;
  candidates.changed = Math.max(candidates.changed, count);
}

/** The largest score; -Infinity when all are -Infinity or NaN. */
export function largestScore({ scores, count }: Candidates): number {
  return largestOf(scores, count);
}

function largestOf(scores: Float32Array, count: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) if (scores[i] > largest) largest = scores[i];
  return largest;
}

/** Keeps the candidates with a score of at least `least`. */
export function keepAtLeast(candidates: Candidates, least: number): void {
  const { ids, scores, count } = candidates;
  keepFirst(candidates, moveAtLeast(ids, scores, count, least));
}

/**
 * Keeps scores above `cut`, and of those equal to it the `ties` lowest ids.
 */
export function keepAbove(candidates: Candidates, cut: number, ties: number): void {
  const { ids, scores, count } = candidates;
  keepFirst(candidates, moveAbove(ids, scores, count, cut, ties));
}

// Loops over a vocabulary stand alone, with nothing but a return behind them: V8 compiles one while it runs for the first
// time, and what it has not seen run yet, it leaves out, so that every call would end in a deoptimization.

function moveAtLeast(ids: Int32Array, scores: Float32Array, count: number, least: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if (scores[i] < least) continue;
    ids[kept] = ids[i];
    scores[kept++] = scores[i];
  }
  return kept;
}

function moveAbove(
  ids: Int32Array,
  scores: Float32Array,
  count: number,
  cut: number,
  ties: number,
): number {
  let kept = 0;
  let left = ties;
  for (let i = 0; i < count; i++) {
    const score = scores[i];
    if (!(score > cut) && !(score === cut && left-- > 0)) continue;
    ids[kept] = ids[i];
    scores[kept++] = score;
  }
  return kept;
}

/** Where a running total over the candidates, best first and equal scores by id, reaches `target`. */
export interface Cut {
  readonly score: number;
  /** Candidates of exactly this score up to the one that reaches the target, that one included. */
  readonly ties: number;
}

/**
 * The first pass deals scores into buckets of 1/64 below the largest: logits spread evenly there, so
 * the bucket with the cut is small. What is 32 or more below shares the last one.
 */
const BUCKETS = 2048;
const BUCKETS_PER_UNIT = 64;
/** The passes after it read the bits, 11, 11 and 10 of them: exact, and no input makes it slow. */
const SHIFTS = [21, 10, 0] as const;
const MASKS = [2047, 2047, 1023] as const;
const totals = new Float64Array(BUCKETS);

/**
 * Adds up `weights` (undefined: 1 each) from the best candidate on and finds the one with which the
 * total first reaches `target` (above 0); undefined when it never does. The order of the sum is:
 * buckets of a pass from the best, members of a bucket by id. So the cut is the same everywhere.
 *
 * About 5 ns a candidate, at most 20.
 */
export function findCut(
  candidates: Candidates,
  target: number,
  weights: Float64Array | undefined,
): Cut | undefined {
  const { bits, members, scores, count } = candidates;
  const largest = largestScore(candidates);
  totals.fill(0);
  for (let i = 0; i < count; i++) {
    const bucket = bucketBelow(largest, scores[i]);
    totals[bucket] = totals[bucket] + (weights === undefined ? 1 : weights[i]);
  }
  const first = bucketReaching(0, target);
  if (!first.reached) return undefined;
  let found = 0;
  for (let i = 0; i < count; i++) {
    if (bucketBelow(largest, scores[i]) === first.bucket) members[found++] = i;
  }

  let { above } = first;
  for (let pass = 0; pass < SHIFTS.length; pass++) {
    const shift = SHIFTS[pass];
    const mask = MASKS[pass];
    totals.fill(0);
    for (let i = 0; i < found; i++) {
      const member = members[i];
      const bucket = (descendingKey(bits[member]) >>> shift) & mask;
      totals[bucket] = totals[bucket] + (weights === undefined ? 1 : weights[member]);
    }
    const next = bucketReaching(above, target);
    above = next.above;
    let kept = 0;
    for (let i = 0; i < found; i++) {
      const member = members[i];
      const bucket = (descendingKey(bits[member]) >>> shift) & mask;
      if (bucket === next.bucket) members[kept++] = member;
    }
    found = kept;
  }
  // One bucket of the last pass holds one score; its members stand by id.
  let ties = 0;
  for (; ties < found && !(above >= target); ties++) {
    above += weights === undefined ? 1 : weights[members[ties]];
  }
  return { score: scores[members[0]], ties };
}

/**
 * The bucket of `totals` with which the running total from `start` reaches the target, and the total
 * above that bucket. The parts of a bucket may round to less than the whole that did reach it: then
 * the last bucket that holds anything.
 */
function bucketReaching(
  start: number,
  target: number,
): { bucket: number; above: number; reached: boolean } {
  let above = start;
  let last = { bucket: 0, above, reached: false };
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const total = totals[bucket];
    if (above + total >= target) return { bucket, above, reached: true };
    if (total > 0) last = { bucket, above, reached: false };
    above += total;
  }
  return last;
}

/** Grows as the score falls. NaN, which no score of a sound model is, lands in the first bucket. */
function bucketBelow(largest: number, score: number): number {
  return Math.min((largest - score) * BUCKETS_PER_UNIT, BUCKETS - 1) | 0;
}

/** Bits of an f32 as an unsigned number that grows as the value falls; -0 counts as 0. */
function descendingKey(bits: number): number {
  if (bits >= 0) return ~(bits | 0x80000000) >>> 0;
  return bits === -0x80000000 ? 0x7fffffff : bits >>> 0;
}
