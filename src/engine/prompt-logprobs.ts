/** The log-probabilities of prompts: how likely each token was after those before it. */
import { type TokenLogprobs, tokenLogprobs } from "../generate/logprobs.ts";
import { scoreTokens } from "../generate/score-tokens.ts";
import { checkRow } from "./score-continuations.ts";
import type { SlotLoan } from "./slot-lender.ts";
import { commonLength } from "./slots.ts";

/** One entry a token; null for the first, which comes after nothing. */
export type PromptLogprobs = readonly (TokenLogprobs | null)[];

/**
 * Of each prompt, in one slot. What a prompt has in common with the one before it is computed once. They are the numbers
 * that a generation reports of the same tokens.
 *
 * @param top alternatives beside each token.
 * @throws PronkError "context_overflow"; "bad_request" on ids outside the vocabulary; "engine_failed"; "aborted".
 */
export async function readPromptLogprobs(
  loan: SlotLoan,
  prompts: readonly (readonly number[])[],
  top: number,
  signal: AbortSignal | undefined,
): Promise<PromptLogprobs[]> {
  const { runner } = loan;
  let held: readonly number[] = [];
  let known: PromptLogprobs = [];
  const all: PromptLogprobs[] = [];
  for (const [p, ids] of prompts.entries()) {
    checkRow(ids, loan, `prompt ${p}`);
    const shared = runner.isCutDependent ? 0 : commonLength(held, ids);
    const entries: (TokenLogprobs | null)[] = shared > 0 ? known.slice(0, shared) : [null];
    const visit = (token: number, index: number): void => {
      entries.push(tokenLogprobs(runner.logits(index), ids[token], top));
    };
    await scoreTokens(loan, ids, { first: entries.length, cached: shared }, visit, signal);
    held = ids;
    known = entries;
    all.push(entries);
  }
  loan.keep(held.slice(0, -1));
  return all;
}
