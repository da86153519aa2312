/** Processors that allow or ban sets of tokens, and those that mend scores. */
import { without } from "./length-processors.ts";
import {
  invalid,
  type LogitsProcessor,
  mapRows,
  type ScoreRows,
  type TokenRows,
} from "./logits-processor.ts";
import { logSoftmax } from "./softmax.ts";

/** Bans these ids. */
export class SuppressTokensLogitsProcessor implements LogitsProcessor {
  readonly suppress_tokens: readonly number[];

  constructor(suppress_tokens: Iterable<number>) {
    this.suppress_tokens = [...suppress_tokens];
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return without(scores, this.suppress_tokens);
  }
}

/** Bans these ids while the row has exactly `begin_index` ids. */
export class SuppressTokensAtBeginLogitsProcessor implements LogitsProcessor {
  readonly begin_suppress_tokens: readonly number[];
  readonly begin_index: number;

  constructor(begin_suppress_tokens: Iterable<number>, begin_index: number) {
    this.begin_suppress_tokens = [...begin_suppress_tokens];
    this.begin_index = begin_index;
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    if ((input_ids[0]?.length ?? 0) !== this.begin_index) return scores;
    return without(scores, this.begin_suppress_tokens);
  }
}

/** The ids that may follow `ids`, the row of input `batch_id`; never empty. */
export type PrefixAllowedTokens = (batch_id: number, ids: readonly number[]) => readonly number[];

/** Only what a function of the row allows. */
export class PrefixConstrainedLogitsProcessor implements LogitsProcessor {
  readonly #allowed: PrefixAllowedTokens;
  readonly #beams: number;

  constructor(prefix_allowed_tokens_fn: PrefixAllowedTokens, num_beams: number) {
    this.#allowed = prefix_allowed_tokens_fn;
    this.#beams = num_beams;
  }

  /** @throws PronkError "bad_request" where nothing is allowed. */
  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return scores.map((row, index) => {
      const batch = Math.floor(index / this.#beams);
      const allowed = this.#allowed(batch, input_ids[index]);
      if (allowed.length === 0) {
        throw invalid(
          "prefix_allowed_tokens_fn",
          `\`prefix_allowed_tokens_fn\` returned an empty list for batch ID ${batch}.This means that the constraint is unsatisfiable. Please check your implementationof \`prefix_allowed_tokens_fn\` `,
        );
      }
      const kept = new Float32Array(row.length).fill(Number.NEGATIVE_INFINITY);
      for (const id of allowed) kept[id] = row[id];
      return kept;
    });
  }
}

/** Scores become log-probabilities. */
export class LogitNormalization implements LogitsProcessor {
  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return scores.map(logSoftmax);
  }
}

/** The largest f32. */
const LARGEST_F32 = 3.4028234663852886e38;

/** NaN becomes 0, infinities the largest and the smallest f32. */
export class InfNanRemoveLogitsProcessor implements LogitsProcessor {
  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return mapRows(scores, (row) => {
      for (let i = 0; i < row.length; i++) {
        if (Number.isNaN(row[i])) row[i] = 0;
        else if (!Number.isFinite(row[i])) row[i] = row[i] > 0 ? LARGEST_F32 : -LARGEST_F32;
      }
    });
  }
}
