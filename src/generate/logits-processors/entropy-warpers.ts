/** Typical, epsilon and eta sampling: filters that look at the whole distribution. */

import { exp } from "../exp-log.ts";
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
import { kthLargest } from "./warpers.ts";

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
    const mass = Math.fround(this.mass);
    return mapRows(scores, (row) => {
      const logProbabilities = logSoftmax(row);
      const expected = Math.fround(entropy(logProbabilities));
      const distances = logProbabilities.map((value) => Math.abs(-value - expected));
      const order = Array.from(row, (_, id) => id).sort((a, b) => nearer(distances, a, b));
      const probabilities = softmax(Float32Array.from(order, (id) => row[id]));
      let sum = 0;
      let last = 0;
      for (; last < order.length - 1; last++) {
        sum += probabilities[last];
        if (!(Math.fround(sum) < mass)) break;
      }
      const farthest = distances[order[last]];
      for (let i = this.min_tokens_to_keep; i < order.length; i++) {
        if (distances[order[i]] > farthest) row[order[i]] = this.filter_value;
      }
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

/** Nearest first, equal ones by id. Infinite distances are equal; their difference is NaN. */
function nearer(distances: Float32Array, a: number, b: number): number {
  return distances[a] < distances[b] ? -1 : distances[a] > distances[b] ? 1 : a - b;
}
