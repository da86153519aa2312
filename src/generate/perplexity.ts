/** Perplexity of a text, and the log-probability of each of its tokens. */
import type { Runner, Span } from "../backends/backend.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import { exp, log } from "./exp-log.ts";

export interface Perplexity {
  /** exp(nll) */
  readonly ppl: number;
  /** Mean negative log-likelihood in nats over the scored tokens. */
  readonly nll: number;
  /** How many tokens were scored. */
  readonly tokens: number;
}

export interface PerplexityOptions {
  /** Tokens of a window; at most the runner's context. */
  readonly ctx: number;
  /** Of the runner, which the text is read with. */
  readonly adapters?: Span["adapters"];
  readonly signal?: AbortSignal;
  /** After each batch: tokens run so far, of all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Between batches. */
  readonly yieldTask?: () => Promise<void>;
}

/** log of the sum of exp over the logits, in f64, in the order of the ids. */
export function logSumExp(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i] > max) max = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += exp(logits[i] - max);
  return max + log(sum);
}

/**
 * Scores consecutive, independent windows of `ctx` tokens: every token but each window's first. The
 * runner needs logits for every row of a batch (maxLogits = maxRows) to be fast.
 *
 * @throws PronkError "bad_request" when there is no token to score; "aborted".
 */
export async function perplexity(
  runner: Runner,
  ids: readonly number[],
  options: PerplexityOptions,
): Promise<Perplexity> {
  const { ctx, signal, adapters } = options;
  if (!Number.isInteger(ctx) || ctx < 2 || ctx > runner.ctx) {
    throw new PronkError("bad_request", `window of ${ctx} tokens, not 2 to ${runner.ctx}`, {
      param: "ctx",
    });
  }
  if (ids.length < 2) {
    throw new PronkError("bad_request", `a text of ${ids.length} tokens: nothing to score`);
  }
  const chunk = Math.min(runner.maxRows, runner.maxLogits);
  let sum = 0;
  let tokens = 0;
  for (let window = 0; window < ids.length; window += ctx) {
    const end = Math.min(window + ctx, ids.length);
    for (let at = window; at < end; at += chunk) {
      throwIfAborted(signal);
      const count = Math.min(chunk, end - at);
      const rows = Array.from({ length: count }, (_, i) => i).filter((i) => at + i + 1 < end);
      await runner.forward({
        ids: ids.slice(at, at + count),
        spans: [
          {
            slot: 0,
            start: at - window,
            count,
            length: end - window,
            ...(adapters && { adapters }),
          },
        ],
        logitsRows: rows,
      });
      for (const row of rows) {
        const logits = runner.logits(row);
        sum += logSumExp(logits) - logits[ids[at + row + 1]];
        tokens++;
      }
      options.onProgress?.(at + count, ids.length);
      await options.yieldTask?.();
    }
  }
  if (tokens === 0) throw new PronkError("bad_request", "nothing to score");
  const nll = sum / tokens;
  return { ppl: exp(nll), nll, tokens };
}
