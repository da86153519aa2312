/** The server's bounds on one request. */
import { PronkError } from "../errors.ts";
import type { Limits } from "./context.ts";
import { RequestError } from "./errors.ts";

/** Bounds that hold unless others are given. */
export const DEFAULT_LIMITS: Limits = {
  // Some 250,000 tokens of text: more than any context here; small beside an isolate's memory.
  bodyBytes: 2 ** 20,
  // The context bounds both.
  promptTokens: Number.POSITIVE_INFINITY,
  maxTokens: Number.POSITIVE_INFINITY,
  // As long as people wait (Nielsen, 1993), and below a ping's silence: a refusal is still a status.
  waitMs: 10_000,
  // OpenAI's bound on n.
  choices: 128,
};

/**
 * @param room tokens of output that there must be room for.
 * @throws RequestError "request_too_large" beyond the server's limit; PronkError "context_overflow"
 *   when no room is left in the context for a token of output.
 */
export function checkPrompt(
  tokens: number,
  ctx: number,
  param: string,
  limits: Limits,
  room = 1,
): void {
  if (tokens > limits.promptTokens) {
    throw new RequestError(
      "request_too_large",
      `${param}: more than the ${limits.promptTokens} tokens that this server takes`,
      { param },
    );
  }
  if (tokens + room <= ctx) return;
  throw new PronkError(
    "context_overflow",
    room === 0
      ? `${param}: ${tokens} tokens do not fit the context of ${ctx}`
      : `${param}: the prompt's ${tokens} tokens leave no room for an answer in the context of ${ctx}`,
    { param },
  );
}

/** @throws PronkError "bad_request" when a request asks for more choices than the server gives. */
export function checkChoices(n: number, prompts: number, limits: Limits): void {
  const choices = n * prompts;
  if (choices <= limits.choices) return;
  const param = n > limits.choices ? "n" : "prompt";
  throw new PronkError(
    "bad_request",
    `${param}: ${choices} choices, this server gives ${limits.choices} at most`,
    { param },
  );
}
