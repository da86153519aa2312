/** `echo` of /v1/completions: answers begin with their prompt, and its log-probabilities. */
import type { PromptLogprobs } from "../engine/prompt-logprobs.ts";
import type { GenerateResult } from "../generate/request.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/** What the choices of one prompt begin with. */
export interface Echo {
  readonly text: string;
  /** undefined: none were asked for. */
  readonly logprobs: PromptLogprobs | undefined;
  /** Milliseconds that reading it for them took. */
  readonly ms: number;
}

/** A text stands as it was given; ids are spelled out, special ones, too. */
export function echoedText(prompt: string | readonly number[], tokenizer: Tokenizer): string {
  if (typeof prompt === "string") return prompt;
  return tokenizer.decode(prompt.filter((id) => id < tokenizer.vocabSize));
}

/** What the request itself had read for the echo is no find in the cache. */
export function withEcho(
  result: GenerateResult,
  echo: Echo | undefined,
  isFirst: boolean,
): GenerateResult {
  if (echo?.logprobs === undefined) return result;
  const { timings } = result;
  const prompt_ms = timings.prompt_ms + (isFirst ? echo.ms : 0);
  return { ...result, timings: { ...timings, prompt_ms, cached_n: 0 } };
}
