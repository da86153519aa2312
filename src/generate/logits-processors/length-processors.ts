/** Processors that depend on how long the row is. */
import { power } from "../exp-log.ts";
import {
  inPython,
  invalid,
  isCount,
  type LogitsProcessor,
  mapRows,
  type ScoreRows,
  type TokenRows,
  tokenIds,
} from "./logits-processor.ts";

/** No end token before the row, prompt included, has `min_length` ids. */
export class MinLengthLogitsProcessor implements LogitsProcessor {
  readonly min_length: number;
  readonly eos_token_id: readonly number[];

  constructor(min_length: number, eos_token_id: number | readonly number[]) {
    if (!isCount(min_length, 0)) {
      throw invalid(
        "min_length",
        `\`min_length\` has to be a non-negative integer, but is ${inPython(min_length)}`,
      );
    }
    this.min_length = min_length;
    this.eos_token_id = tokenIds(eos_token_id);
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    if (lengthOf(input_ids) >= this.min_length) return scores;
    return without(scores, this.eos_token_id);
  }
}

/** No end token before `min_new_tokens` were generated behind `prompt_length_to_skip` ids. */
export class MinNewTokensLengthLogitsProcessor implements LogitsProcessor {
  readonly prompt_length_to_skip: number;
  readonly min_new_tokens: number;
  readonly eos_token_id: readonly number[];

  constructor(
    prompt_length_to_skip: number,
    min_new_tokens: number,
    eos_token_id: number | readonly number[],
  ) {
    for (const [name, value] of Object.entries({ prompt_length_to_skip, min_new_tokens })) {
      if (isCount(value, 0)) continue;
      throw invalid(name, `\`${name}\` has to be a positive integer, but is ${inPython(value)}`);
    }
    this.prompt_length_to_skip = prompt_length_to_skip;
    this.min_new_tokens = min_new_tokens;
    this.eos_token_id = tokenIds(eos_token_id);
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    if (lengthOf(input_ids) - this.prompt_length_to_skip >= this.min_new_tokens) return scores;
    return without(scores, this.eos_token_id);
  }
}

/** The second token of a row is `bos_token_id`. */
export class ForcedBOSTokenLogitsProcessor implements LogitsProcessor {
  readonly bos_token_id: number;

  constructor(bos_token_id: number) {
    this.bos_token_id = bos_token_id;
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return lengthOf(input_ids) === 1 ? only(scores, [this.bos_token_id]) : scores;
  }
}

/** The last token that `max_length` leaves room for is one of these. */
export class ForcedEOSTokenLogitsProcessor implements LogitsProcessor {
  readonly max_length: number;
  readonly eos_token_id: readonly number[];

  constructor(max_length: number, eos_token_id: number | readonly number[]) {
    this.max_length = max_length;
    this.eos_token_id = tokenIds(eos_token_id);
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return lengthOf(input_ids) === this.max_length - 1 ? only(scores, this.eos_token_id) : scores;
  }
}

/** Raises end tokens by |score| (factor^n - 1), n tokens behind `start` generated ones. */
export class ExponentialDecayLengthPenalty implements LogitsProcessor {
  readonly regulation_start: number;
  readonly regulation_factor: number;
  readonly eos_token_id: readonly number[];

  /** @param exponential_decay_length_penalty [start, factor]. */
  constructor(
    exponential_decay_length_penalty: readonly [number, number],
    eos_token_id: number | readonly number[],
    input_ids_seq_length: number,
  ) {
    const [start, factor] = exponential_decay_length_penalty;
    this.regulation_start = start + input_ids_seq_length;
    this.regulation_factor = factor;
    this.eos_token_id = tokenIds(eos_token_id);
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    const behind = lengthOf(input_ids) - this.regulation_start;
    if (behind <= 0) return scores;
    const factor = Math.fround(power(this.regulation_factor, behind) - 1);
    return mapRows(scores, (row) => {
      for (const id of this.eos_token_id) {
        row[id] = row[id] + Math.fround(Math.abs(row[id]) * factor);
      }
    });
  }
}

function lengthOf(input_ids: TokenRows): number {
  return input_ids[0]?.length ?? 0;
}

/** The scores, these ids banned. */
export function without(scores: ScoreRows, ids: Iterable<number>): ScoreRows {
  return mapRows(scores, (row) => {
    for (const id of ids) if (id < row.length) row[id] = Number.NEGATIVE_INFINITY;
  });
}

function only(scores: ScoreRows, ids: readonly number[]): ScoreRows {
  return mapRows(scores, (row) => {
    row.fill(Number.NEGATIVE_INFINITY);
    for (const id of ids) {
      if (id >= row.length) {
        const found = `${id} is not an id of the ${row.length} tokens`;
        throw invalid("forced_token_id", `a forced token: ${found}`);
      }
      row[id] = 0;
    }
  });
}
