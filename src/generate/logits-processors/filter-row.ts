/** The sampler's filters over a row of scores: about 10 ns a token, without sorting the vocabulary. */
import {
  type Candidates,
  createCandidates,
  fillCandidates,
  findCut,
  keepAbove,
} from "../candidates.ts";

/** Of the last vocabulary; no filter waits for anything while it uses it. */
let scratch: Candidates | undefined;

/** All tokens of the row; valid until the next call. */
export function candidatesOf(row: Float32Array): Candidates {
  if (scratch?.ids.length !== row.length) scratch = createCandidates(row.length);
  fillCandidates(scratch, row);
  return scratch;
}

/**
 * What `keep` takes away gets `filter_value`, in place; the `min_tokens_to_keep` best stay, of equal
 * ones the lowest ids.
 */
export function filterRow(
  row: Float32Array,
  filter_value: number,
  min_tokens_to_keep: number,
  keep: (candidates: Candidates) => void,
): void {
  let candidates = candidatesOf(row);
  keep(candidates);
  if (candidates.count < Math.min(min_tokens_to_keep, row.length)) {
    candidates = candidatesOf(row);
    const cut = findCut(candidates, min_tokens_to_keep, undefined);
    if (cut !== undefined) keepAbove(candidates, cut.score, cut.ties);
  }
  const { ids, scores, count } = candidates;
  row.fill(filter_value);
  for (let i = 0; i < count; i++) row[ids[i]] = scores[i];
}

/** The k-th largest score, or the least where there are fewer. */
export function kthLargest(row: Float32Array, k: number): number {
  const cut = findCut(candidatesOf(row), Math.min(k, row.length), undefined);
  return cut?.score ?? Number.NEGATIVE_INFINITY;
}
