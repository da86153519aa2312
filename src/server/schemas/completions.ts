/** The body of POST /v1/completions. Fields that are not named here are ignored. */
import * as z from "zod/mini";
import type { TextInputs } from "../text-inputs.ts";
import type { Maybe } from "./maybe.ts";
import { type SamplingFields, samplingFields } from "./sampling.ts";

export interface CompletionRequest extends SamplingFields {
  model: string;
  /** Raw text or token ids, or a list of either. */
  prompt: TextInputs;
  /** How many alternatives to report for each token. OpenAI takes 5 at most. */
  logprobs?: Maybe<number>;
  best_of?: Maybe<number>;
  echo?: Maybe<boolean>;
  suffix?: Maybe<string>;
}

const tokenIds = z.array(z.int().check(z.gte(0))).check(z.minLength(1));

export const completionRequest: z.ZodMiniType<CompletionRequest> = z.object({
  ...samplingFields,
  model: z.string(),
  prompt: z.union([
    z.string(),
    tokenIds,
    z.array(tokenIds).check(z.minLength(1)),
    z.array(z.string()).check(z.minLength(1)),
  ]),
  // 0: with echo, to have the prompt's log-probabilities alone.
  max_tokens: z.nullish(z.int().check(z.gte(0))),
  logprobs: z.nullish(z.int().check(z.gte(0), z.lte(20))),
  best_of: z.nullish(z.int().check(z.gte(0), z.lte(20))),
  echo: z.nullish(z.boolean()),
  suffix: z.nullish(z.string()),
});
