/** The bodies of /score, /perplexity, /tokenize and /detokenize. Fields that are not named here are ignored. */
import * as z from "zod/mini";
import { type RequestMessage, requestMessage } from "./chat.ts";
import type { Maybe } from "./maybe.ts";

export interface ScoreRequest {
  /** Default: the model. An adapter's name. */
  model?: Maybe<string>;
  context: string | number[];
  continuations: string[] | number[][];
}

export interface PerplexityRequest {
  model?: Maybe<string>;
  prompt: string | number[];
  /** Tokens of a window. Default: the smaller of 512 and the context. */
  window?: Maybe<number>;
}

/** One of `prompt` and `messages`. */
export interface TokenizeRequest {
  model?: Maybe<string>;
  prompt?: Maybe<string>;
  /** Default true. */
  add_special_tokens?: Maybe<boolean>;
  messages?: Maybe<RequestMessage[]>;
  /** Default true. */
  add_generation_prompt?: Maybe<boolean>;
  /** Also answer with the tokens as the vocabulary spells them. */
  return_token_strs?: Maybe<boolean>;
  /** Also answer with each token's place in the prompt, its bytes, and whether it is special. */
  return_pieces?: Maybe<boolean>;
}

export interface DetokenizeRequest {
  model?: Maybe<string>;
  tokens: number[];
}

/** Of one context. A choice of more is no question that a model of this size is asked. */
const MAX_CONTINUATIONS = 2048;

const model = z.nullish(z.string());
const ids = z.array(z.int().check(z.gte(0)));
const several = [z.minLength(1), z.maxLength(MAX_CONTINUATIONS)] as const;

export const scoreRequest: z.ZodMiniType<ScoreRequest> = z.object({
  model,
  context: z.union([z.string(), ids]),
  continuations: z.union([
    z.array(z.string()).check(...several),
    z.array(ids.check(z.minLength(1))).check(...several),
  ]),
});

export const perplexityRequest: z.ZodMiniType<PerplexityRequest> = z.object({
  model,
  prompt: z.union([z.string(), ids]),
  window: z.nullish(z.int().check(z.gte(2))),
});

export const tokenizeRequest: z.ZodMiniType<TokenizeRequest> = z.object({
  model,
  prompt: z.nullish(z.string()),
  add_special_tokens: z.nullish(z.boolean()),
  messages: z.nullish(z.array(requestMessage).check(z.minLength(1))),
  add_generation_prompt: z.nullish(z.boolean()),
  return_token_strs: z.nullish(z.boolean()),
  return_pieces: z.nullish(z.boolean()),
});

export const detokenizeRequest: z.ZodMiniType<DetokenizeRequest> = z.object({ model, tokens: ids });
