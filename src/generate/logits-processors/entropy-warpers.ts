/** Typical, epsilon and eta sampling: filters that look at the whole distribution. */

import { findCut } from "../candidates.ts";
import { exp } from "../exp-log.ts";
import { candidatesOf, kthLargest } from "./filter-row.ts";
import {
  type FilterOptions,
  filterOptions,
  invalid,
  type LogitsProcessor,
  mapRows,
  pythonFloat,
  type ScoreRows,
  type TokenRows,
} from "./logits-processor.ts";
import { entropy, logSoftmax, softmax } from "./softmax.ts";

/**
 * Keeps the tokens whose information is nearest to the entropy, up to a probability of `mass`
 * (arXiv:2202.00666).
 */
export class TypicalLogitsWarper implements LogitsProcessor {
  readonly mass: number;
  readonly filter_value: number;
  readonly min_tokens_to_keep: number;

  constructor(mass = 0.9, options: FilterOptions = {}) {
    if (!(mass > 0 && mass < 1)) {
      throw invalid(
        "typical_p",
        `\`typical_p\` has to be a float > 0 and < 1, but is ${pythonFloat(mass)}`,
      );
    }
    this.mass = mass;
    ({ filter_value: this.filter_value, min_tokens_to_keep: this.min_tokens_to_keep } =
      filterOptions(options));
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    return mapRows(scores, (row) => {
      const logProbabilities = logSoftmax(row);
      const expected = Math.fround(entropy(logProbabilities));
      // The nearer to the entropy, the better a candidate.
      const nearness = new Float32Array(row.length);
      for (let id = 0; id < row.length; id++) {
        nearness[id] = -Math.abs(-logProbabilities[id] - expected);
      }
      const candidates = candidatesOf(nearness);
      const { weights } = candidates;
      let total = 0;
      for (let id = 0; id < row.length; id++) total += weights[id] = exp(logProbabilities[id]);
      const cut = findCut(candidates, this.mass * total, weights);
      if (cut === undefined) return;
      const least = Math.min(cut.score, kthLargest(nearness, this.min_tokens_to_keep));
      for (let id = 0; id < row.length; id++) if (nearness[id] < least) row[id] = this.filter_value;
    });
  }
}

/** Removes tokens less likely than `epsilon`; the likeliest stay. */
export class EpsilonLogitsWarper implements LogitsProcessor {
  readonly epsilon: number;
  readonly filter_value: number;
  readonly min_tokens_to_keep: number;

  constructor(epsilon: number, options: FilterOptions = {}) {
    checkCutoff("epsilon_cutoff", epsilon);
    this.epsilon = epsilon;
    ({ filter_value: this.filter_value, min_tokens_to_keep: this.min_tokens_to_keep } =
      filterOptions(options));
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    const least = Math.fround(this.epsilon);
    return mapRows(scores, (row) => {
      removeUnlikely(row, least, this.min_tokens_to_keep, this.filter_value);
    });
  }
}

/** As epsilon, with the cutoff sqrt(epsilon) e^-entropy where that is less (arXiv:2210.15191). */
export class EtaLogitsWarper implements LogitsProcessor {
  readonly epsilon: number;
  readonly filter_value: number;
  readonly min_tokens_to_keep: number;

  constructor(epsilon: number, options: FilterOptions = {}) {
    checkCutoff("eta_cutoff", epsilon);
    this.epsilon = Math.fround(epsilon);
    ({ filter_value: this.filter_value, min_tokens_to_keep: this.min_tokens_to_keep } =
      filterOptions(options));
  }

  apply(_input_ids: TokenRows, scores: ScoreRows): ScoreRows {
    const root = Math.fround(Math.sqrt(this.epsilon));
    return mapRows(scores, (row) => {
      const spread = Math.fround(entropy(logSoftmax(row)));
      const eta = Math.min(this.epsilon, Math.fround(root * Math.fround(exp(-spread))));
      removeUnlikely(row, eta, this.min_tokens_to_keep, this.filter_value);
    });
  }
}

function checkCutoff(param: string, value: number): void {
  if (value > 0 && value < 1) return;
  throw invalid(param, `\`${param}\` has to be a float > 0 and < 1, but is ${pythonFloat(value)}`);
}

function removeUnlikely(
  row: Float32Array,
  least: number,
  keep: number,
  filter_value: number,
): void {
  const probabilities = softmax(row);
  const safe = kthLargest(row, keep);
  for (let i = 0; i < row.length; i++) {
    if (probabilities[i] < least && row[i] < safe) row[i] = filter_value;
  }
}
