/**
 * Log-probabilities of the model itself: log-softmax of the raw logits, before temperature,
 * penalties, bias and filters, as OpenAI reports them.
 */
import { exp, log } from "./exp-log.ts";
import { notNumbers } from "./processors.ts";
import type { TokenLogprob } from "./request.ts";

/** Stands for -Infinity, which JSON lacks; OpenAI's own value. No log-probability is below it. */
export const LEAST_LOGPROB = -9999;

/** Alternatives at most; OpenAI's limit. It bounds an insertion into a sorted list below. */
export const MAX_TOP_LOGPROBS = 20;

export interface TokenLogprobs {
  readonly logprob: number;
  /** Most likely first, equal ones by id; the chosen token comes last when it is not among them. */
  readonly top_logprobs: TokenLogprob[];
}

/**
 * The chosen token's log-probability and the `top` likeliest. 0.3 ms for 49,152 logits.
 *
 * @throws PronkError "engine_failed" when the logits are not numbers.
 */
export function tokenLogprobs(logits: Float32Array, chosen: number, top: number): TokenLogprobs {
  const best = topIds(logits, Math.min(top, logits.length));
  const base = logitBase(logits);
  const entry = (token: number): TokenLogprob => {
    return { token, logprob: Math.max(logprobAt(logits, token, base), LEAST_LOGPROB) };
  };
  if (!best.includes(chosen)) best.push(chosen);
  return { logprob: entry(chosen).logprob, top_logprobs: best.map(entry) };
}

/**
 * One token's log-probability, in f64: the same number wherever one is asked for.
 *
 * @throws PronkError "engine_failed" when the logits are not numbers.
 */
export function tokenLogprob(logits: Float32Array, token: number): number {
  return logprobAt(logits, token, logitBase(logits));
}

interface LogitBase {
  readonly largest: number;
  /** Of the sum of e^(logit - largest), added by id. */
  readonly logTotal: number;
}

function logitBase(logits: Float32Array): LogitBase {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i] > largest) largest = logits[i];
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += exp(logits[i] - largest);
  if (!(total > 0)) throw notNumbers();
  return { largest, logTotal: log(total) };
}

function logprobAt(logits: Float32Array, token: number, { largest, logTotal }: LogitBase): number {
  return logits[token] - largest - logTotal;
}

/** The ids of the largest logits, largest first, lowest id first among equals. */
function topIds(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  if (count === 0) return ids;
  let least = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id];
    if (ids.length === count && !(logit > least)) continue;
    // Ids come ascending, so an equal one already in the list stays before this one.
    let at = ids.length < count ? ids.length : count - 1;
    while (at > 0 && logit > logits[ids[at - 1]]) {
      ids[at] = ids[at - 1];
      at--;
    }
    ids[at] = id;
    if (ids.length === count) least = logits[ids[count - 1]];
  }
  return ids;
}
