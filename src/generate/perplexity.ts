/** Perplexity of a text, and the log-probability of each of its tokens. */
import type { Runner } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";
import { exp } from "./exp-log.ts";
import { tokenLogprob } from "./logprobs.ts";
import { type ReadingSlot, scoreTokens } from "./score-tokens.ts";

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
  readonly signal?: AbortSignal;
  /** After each token: those read so far, of all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** After each window: its mean negative log-likelihood, over so many tokens. */
  readonly onWindow?: (nll: number, tokens: number) => void;
}

/**
 * Scores consecutive, independent windows of `ctx` tokens: every token but each window's first. The
 * runner needs logits for every row of a batch (maxLogits = maxRows) to be fast.
 *
 * @throws PronkError "bad_request" when there is no token to score; "aborted".
 */
export async function perplexity(
  reader: ReadingSlot,
  ids: readonly number[],
  options: PerplexityOptions,
): Promise<Perplexity> {
  const { runner } = reader;
  const { ctx, signal } = options;
  if (!Number.isInteger(ctx) || ctx < 2 || ctx > runner.ctx) {
    throw new PronkError("bad_request", `window of ${ctx} tokens, not 2 to ${runner.ctx}`, {
      param: "ctx",
    });
  }
  if (ids.length < 2) {
    throw new PronkError("bad_request", `a text of ${ids.length} tokens: nothing to score`);
  }
  let sum = 0;
  let tokens = 0;
  for (let window = 0; window < ids.length; window += ctx) {
    const part = ids.slice(window, window + ctx);
    const visit = (token: number, index: number): void => {
      sum -= tokenLogprob(runner.logits(index), part[token]);
      tokens++;
      options.onProgress?.(window + token + 1, ids.length);
    };
    const before = { sum, tokens };
    await scoreTokens(reader, part, { first: 1, length: part.length }, visit, signal);
    const scored = tokens - before.tokens;
    if (scored > 0) options.onWindow?.((sum - before.sum) / scored, scored);
  }
  const nll = sum / tokens;
  return { ppl: exp(nll), nll, tokens };
}

/** The first slot of a runner that nobody else uses. */
export function wholeRunner(
  runner: Runner,
  options: Pick<ReadingSlot, "adapters"> & {
    /** Between batches. */
    readonly yieldTask?: () => Promise<void>;
  } = {},
): ReadingSlot {
  const { adapters, yieldTask } = options;
  return {
    runner,
    slot: 0,
    ...(adapters && { adapters }),
    run: async (batch, read) => {
      await runner.forward(batch);
      read();
      await yieldTask?.();
    },
  };
}
