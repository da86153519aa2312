/**
 * Scores of starts and ends to spans of tokens.
 *
 * Source: select_starts_ends() and decode_spans(), pipelines/question_answering.py in transformers 4.57. Spans
 * that cannot be are left out here; there they fill up `top_k` with a score of 0.
 */

export interface TokenSpan {
  readonly start: number;
  /** Its last token. */
  readonly end: number;
  readonly score: number;
}

export interface SpanRules {
  /** Tokens that answers may begin and end with: 1, else 0. */
  readonly allowed: readonly number[];
  readonly count: number;
  /** Tokens of an answer at most. */
  readonly maxTokens: number;
}

export interface FoundSpans {
  /** The best first. */
  readonly spans: TokenSpan[];
  /** Of no answer: the first token as start and end. */
  readonly nullScore: number;
}

export function answerSpans(
  startLogits: Float32Array,
  endLogits: Float32Array,
  { allowed, count, maxTokens }: SpanRules,
): FoundSpans {
  const starts = probabilities(startLogits, allowed);
  const ends = probabilities(endLogits, allowed);
  const nullScore = (starts[0] ?? 0) * (ends[0] ?? 0);
  const spans: TokenSpan[] = [];
  // The first token stands for no answer.
  for (let start = 1; start < starts.length; start++) {
    if (allowed[start] !== 1) continue;
    const last = Math.min(starts.length, start + maxTokens);
    for (let end = start; end < last; end++) {
      const score = starts[start]! * ends[end]!;
      if (allowed[end] !== 1 || score === 0) continue;
      if (spans.length === count && score <= spans.at(-1)!.score) continue;
      const at = spans.findIndex((span) => span.score < score);
      spans.splice(at < 0 ? spans.length : at, 0, { start, end, score });
      if (spans.length > count) spans.pop();
    }
  }
  return { spans, nullScore };
}

/** What the reference puts in the place of logits that do not count. */
const HIDDEN = -10_000;

function probabilities(logits: Float32Array, allowed: readonly number[]): number[] {
  const shown = Array.from(logits, (logit, i) => (allowed[i] === 1 ? logit : HIDDEN));
  const most = shown.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const exponentials = shown.map((logit) => Math.exp(logit - most));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((one) => one / sum);
}
