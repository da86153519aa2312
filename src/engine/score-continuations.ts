/**
 * How likely given continuations of prompts are: each token's log-probability after all before it.
 *
 * Source of the conventions: lm-evaluation-harness, loglikelihood of api/model.py.
 */
import { PronkError } from "../errors.ts";
import { tokenLogprob } from "../generate/logprobs.ts";
import { scoreTokens } from "../generate/score-tokens.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { SlotLoan } from "./slot-lender.ts";
import { commonLength } from "./slots.ts";

/** Texts, or ids for callers who cut them themselves. */
export type ContinuationRequest =
  | { readonly prompt: string; readonly continuation: string }
  | { readonly prompt_ids: readonly number[]; readonly continuation_ids: readonly number[] };

export interface ContinuationScore {
  /** Natural logarithm of the continuation's probability: the sum of token_logprobs. */
  readonly logprob: number;
  /** One a token of the continuation. */
  readonly token_logprobs: number[];
  /** The continuation's tokens. */
  readonly token_ids: number[];
  /** Whether greedy decoding would have written it. */
  readonly is_greedy: boolean;
}

interface Row {
  readonly prompt: readonly number[];
  readonly continuation: readonly number[];
}

/**
 * Prompt and continuation are encoded together, and cut behind as many tokens as the prompt alone has;
 * spaces at the prompt's end belong to the continuation. A prompt without tokens becomes BOS, else
 * the token that ends texts. BOS comes in front as the tokenizer adds it.
 *
 * @throws PronkError "bad_request" when a continuation has no tokens.
 */
export function encodeContinuation(
  tokenizer: Pick<Tokenizer, "encode" | "bosId" | "eosId">,
  request: ContinuationRequest,
  where: string,
): Row {
  let row: Row;
  if ("prompt_ids" in request) {
    row = { prompt: request.prompt_ids, continuation: request.continuation_ids };
  } else {
    const prompt = request.prompt.trimEnd();
    const whole = prompt + request.prompt.slice(prompt.length) + request.continuation;
    const ids = tokenizer.encode(whole);
    const length =
      prompt === "" ? leadingSpecials(tokenizer, ids) : tokenizer.encode(prompt).length;
    row = { prompt: ids.slice(0, length), continuation: ids.slice(length) };
  }
  if (row.continuation.length === 0) {
    throw new PronkError("bad_request", `${where}: the continuation has no tokens`);
  }
  if (row.prompt.length > 0) return row;
  const first = tokenizer.bosId ?? tokenizer.eosId;
  if (first === undefined) {
    throw new PronkError("bad_request", `${where}: no prompt, and the tokenizer has no BOS or EOS`);
  }
  return { ...row, prompt: [first] };
}

function leadingSpecials({ bosId }: Pick<Tokenizer, "bosId">, ids: readonly number[]): number {
  return bosId !== undefined && ids[0] === bosId ? 1 : 0;
}

/**
 * Scores rows one after the other in one slot, where each finds what it has in common with the one
 * before it: continuations of one prompt read the prompt once.
 *
 * @throws PronkError "context_overflow" when a row does not fit; "bad_request" on ids outside the
 *   vocabulary; "engine_failed"; "aborted".
 */
export async function scoreRows(
  loan: SlotLoan,
  rows: readonly Row[],
  signal: AbortSignal | undefined,
): Promise<ContinuationScore[]> {
  let held: readonly number[] = [];
  const scores: ContinuationScore[] = [];
  for (const [index, { prompt, continuation }] of rows.entries()) {
    const ids = [...prompt, ...continuation];
    checkRow(ids, loan, `request ${index}`);
    // Where keys depend on how long the text was when they were made, every row is read anew.
    const cached = loan.runner.isCutDependent ? 0 : commonLength(held, ids);
    const score = await scoreRow(loan, ids, prompt.length, cached, signal);
    held = ids.slice(0, -1);
    scores.push(score);
  }
  loan.keep(held);
  return scores;
}

async function scoreRow(
  loan: SlotLoan,
  ids: readonly number[],
  first: number,
  cached: number,
  signal: AbortSignal | undefined,
): Promise<ContinuationScore> {
  const { runner } = loan;
  const token_logprobs: number[] = [];
  let is_greedy = true;
  const visit = (token: number, index: number): void => {
    token_logprobs.push(tokenLogprob(runner.logits(index), ids[token]));
    is_greedy &&= runner.argmax(index) === ids[token];
  };
  await scoreTokens(loan, ids, { first, cached }, visit, signal);
  const logprob = token_logprobs.reduce((sum, one) => sum + one, 0);
  return { logprob, token_logprobs, token_ids: ids.slice(first), is_greedy };
}

/** @throws PronkError "context_overflow"; "bad_request" on ids outside the vocabulary. */
export function checkRow(
  ids: readonly number[],
  { runner }: Pick<SlotLoan, "runner">,
  where: string,
): void {
  // The last token is scored, never run.
  if (ids.length - 1 > runner.ctx) {
    throw new PronkError(
      "context_overflow",
      `${where}: ${ids.length} tokens, the context has ${runner.ctx}`,
    );
  }
  checkIds(ids, runner, where);
}

/** @throws PronkError "bad_request" on ids outside the vocabulary. */
export function checkIds(
  ids: readonly number[],
  { vocab }: Pick<SlotLoan["runner"], "vocab">,
  where: string,
): void {
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
  if (wrong !== undefined) {
    throw new PronkError("bad_request", `${where}: ${wrong} is no token of ${vocab}`);
  }
}
