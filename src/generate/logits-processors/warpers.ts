/** Temperature, top_k, top_p and min_p. */
import { keepMinP, keepTopK, keepTopP, penalizeRepetition } from "../processors.ts";
import { filterRow } from "./filter-row.ts";
import {
  type FilterOptions,
  filterOptions,
  inPython,
  invalid,
  isCount,
  type LogitsProcessor,
  mapRows,
  pythonFloat,
  type ScoreRows,
  type TokenRows,
} from "./logits-processor.ts";

/** Divides the scores. @throws PronkError "bad_request" unless `temperature` is above 0. */
export class TemperatureLogitsWarper implements LogitsProcessor {
  readonly temperature: number;

  constructor(temperature: number) {
    if (!(temperature > 0)) {
      const hint =
        temperature === 0
          ? " If you're looking for greedy decoding strategies, set `do_sample=False`."
          : "";
      throw invalid(
        "temperature",
        `\`temperature\` (=${pythonFloat(temperature)}) has to be a strictly positive float, otherwise your next token scores will be invalid.${hint}`,
      );
    }
    this.temperature = temperature;
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    const divisor = Math.fround(this.temperature);
    return mapRows(scores, (row) => {
      for (let i = 0; i < row.length; i++) row[i] = row[i] / divisor;
    });
  }
}

/** Keeps the k best and every score equal to the last of them. */
export class TopKLogitsWarper implements LogitsProcessor {
  readonly top_k: number;
  readonly filter_value: number;

  constructor(top_k: number, options: FilterOptions = {}) {
    if (!isCount(top_k, 1)) {
      throw invalid(
        "top_k",
        `\`top_k\` has to be a strictly positive integer, but is ${inPython(top_k)}`,
      );
    }
    const { filter_value, min_tokens_to_keep } = filterOptions(options);
    this.top_k = Math.max(top_k, min_tokens_to_keep);
    this.filter_value = filter_value;
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return mapRows(scores, (row) => {
      filterRow(row, this.filter_value, 1, (candidates) => keepTopK(candidates, this.top_k));
    });
  }
}

/** Keeps the fewest best tokens whose probabilities add up to `top_p`. */
export class TopPLogitsWarper implements LogitsProcessor {
  readonly top_p: number;
  readonly filter_value: number;
  readonly min_tokens_to_keep: number;

  constructor(top_p: number, options: FilterOptions = {}) {
    if (!(top_p >= 0 && top_p <= 1)) {
      throw invalid(
        "top_p",
        `\`top_p\` has to be a float > 0 and < 1, but is ${pythonFloat(top_p)}`,
      );
    }
    this.top_p = top_p;
    ({ filter_value: this.filter_value, min_tokens_to_keep: this.min_tokens_to_keep } =
      filterOptions(options));
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    if (this.top_p === 1) return scores;
    return mapRows(scores, (row) => {
      filterRow(row, this.filter_value, this.min_tokens_to_keep, (candidates) =>
        keepTopP(candidates, this.top_p),
      );
    });
  }
}

/** Keeps tokens at least `min_p` times as likely as the likeliest. */
export class MinPLogitsWarper implements LogitsProcessor {
  readonly min_p: number;
  readonly filter_value: number;
  readonly min_tokens_to_keep: number;

  constructor(min_p: number, options: FilterOptions = {}) {
    if (!(min_p >= 0 && min_p <= 1)) {
      throw invalid(
        "min_p",
        `\`min_p\` has to be a float in the [0, 1] interval, but is ${pythonFloat(min_p)}`,
      );
    }
    this.min_p = min_p;
    ({ filter_value: this.filter_value, min_tokens_to_keep: this.min_tokens_to_keep } =
      filterOptions(options));
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    if (this.min_p === 0) return scores;
    return mapRows(scores, (row) => {
      filterRow(row, this.filter_value, this.min_tokens_to_keep, (candidates) =>
        keepMinP(candidates, this.min_p),
      );
    });
  }
}

/**
 * Divides positive scores of ids that occurred and multiplies negative ones.
 * `prompt_ignore_length`: so many ids at the start do not count.
 */
export class RepetitionPenaltyLogitsProcessor implements LogitsProcessor {
  readonly penalty: number;
  readonly prompt_ignore_length: number | undefined;

  constructor(penalty: number, prompt_ignore_length?: number) {
    checkPenalty(penalty);
    if (prompt_ignore_length !== undefined && !isCount(prompt_ignore_length, 0)) {
      throw invalid(
        "prompt_ignore_length",
        `\`prompt_ignore_length\` has to be a positive integer, but is ${inPython(prompt_ignore_length)}`,
      );
    }
    this.penalty = penalty;
    this.prompt_ignore_length = prompt_ignore_length;
  }

  apply(input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return mapRows(scores, (row, index) => {
      const ids = input_ids[index].slice(this.prompt_ignore_length ?? 0);
      penalizeRepetition(row, new Map(ids.map((id) => [id, 0])), this.penalty);
    });
  }
}

/** Raises the scores of ids of the prompt: 1 / penalty as a repetition penalty. */
export class EncoderRepetitionPenaltyLogitsProcessor implements LogitsProcessor {
  readonly penalty: number;
  readonly encoder_input_ids: TokenRows;

  constructor(penalty: number, encoder_input_ids: TokenRows) {
    checkPenalty(penalty);
    this.penalty = 1 / penalty;
    this.encoder_input_ids = encoder_input_ids;
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return mapRows(scores, (row, index) => {
      const ids = this.encoder_input_ids[index];
      penalizeRepetition(row, new Map(ids.map((id) => [id, 0])), this.penalty);
    });
  }
}

function checkPenalty(penalty: number): void {
  if (penalty > 0) return;
  throw invalid(
    "penalty",
    `\`penalty\` has to be a strictly positive float, but is ${pythonFloat(penalty)}`,
  );
}
