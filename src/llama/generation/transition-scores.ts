/** compute_transition_scores: the score of each token that was chosen. */
import type { ScoreRows } from "../../generate/logits-processors/logits-processor.ts";
import { logSoftmax } from "../../generate/logits-processors/softmax.ts";

/**
 * (rows, tokens) scores of the generated tokens, 0 behind the end of a beam.
 *
 * @param scores of a run with output_scores.
 * @param beam_indices of a beam search; absent: each row went on by itself.
 * @param normalize_logits makes log-probabilities of the scores first.
 */
export function computeTransitionScores(
  sequences: readonly (readonly number[])[],
  scores: readonly ScoreRows[],
  beam_indices?: readonly (readonly number[])[],
  normalize_logits = false,
): number[][] {
  const steps = normalize_logits ? scores.map((rows) => rows.map(logSoftmax)) : scores;
  const generated =
    beam_indices === undefined
      ? scores.length
      : Math.max(0, ...beam_indices.map((path) => path.filter((row) => row >= 0).length));
  return sequences.map((ids, sequence) => {
    const start = ids.length - generated;
    return Array.from({ length: generated }, (_, step) => {
      const row = beam_indices ? beam_indices[sequence][step] : sequence;
      return row < 0 ? 0 : steps[step][row][ids[start + step]];
    });
  });
}
