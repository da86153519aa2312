/**
 * Reads a text and hands out the logits that each of its tokens was to come by: what log-likelihoods, log-probabilities
 * of prompts and perplexity have in common. Every number is that of a token's own logits, whatever the batches.
 */
import type { Batch, Runner, Span } from "../backends/backend.ts";
import { throwIfAborted } from "../errors.ts";

/** A slot of a runner, to be read with. */
export interface ReadingSlot {
  readonly runner: Runner;
  readonly slot: number;
  readonly adapters?: Span["adapters"];
  /** Runs a batch; `read` is called while its logits are there. */
  run(batch: Batch, read: () => void): Promise<void>;
}

export interface ScoredTokens {
  /** The first token whose logits are wanted, from 1 on: nothing comes before a text's first token. */
  readonly first: number;
  /** Tokens at the start that the slot's cache holds. */
  readonly cached?: number;
  /** Tokens of the text at hand, where rotary scalings depend on it. Default: those that a batch knows of. */
  readonly length?: number;
}

/**
 * Calls `visit` for each token from `first` on, in order, with the number of its logits in the runner. The last token
 * is not run: the cache then holds all the others.
 *
 * @param ids in the vocabulary; one more than the context has positions, at most.
 * @throws PronkError "aborted"; what `run` throws.
 */
export async function scoreTokens(
  { runner, slot, adapters, run }: ReadingSlot,
  ids: readonly number[],
  { first, cached = 0, length }: ScoredTokens,
  visit: (token: number, index: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const end = ids.length - 1;
  // The row of the token before gives the logits of the first that is wanted.
  const firstRow = first - 1;
  for (let at = Math.min(cached, firstRow); at < end; ) {
    throwIfAborted(signal);
    const plain = Math.max(0, firstRow - at);
    const count = Math.min(end - at, runner.maxRows, plain + runner.maxLogits);
    const logitsRows: number[] = [];
    for (let row = plain; row < count; row++) logitsRows.push(row);
    const start = at;
    const span = {
      slot,
      start,
      count,
      ...(length !== undefined && { length }),
      ...(adapters && adapters.length > 0 && { adapters }),
    };
    await run({ ids: ids.slice(start, start + count), spans: [span], logitsRows }, () => {
      for (const [index, row] of logitsRows.entries()) visit(start + row + 1, index);
    });
    at += count;
  }
}
