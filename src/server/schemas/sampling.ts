/**
 * The fields that chat and completions share, with their ranges.
 *
 * Ranges are OpenAI's (OpenAPI description 2.3.0) where it has the field; top_k, min_p, typical_p,
 * repetition_penalty, ignore_eos, lora, cache_salt and return_token_ids are extensions under the names that other
 * servers gave them. An explicit null is the same as an absent field.
 */
import * as z from "zod/mini";
import { MAX_STOPS, REPETITION_PENALTY_RANGE } from "../../generate/resolve-request.ts";
import { type LoraScale, loraScales } from "./lora.ts";
import type { Maybe } from "./maybe.ts";
import { type OutputFormatFields, outputFormatFields } from "./output-format.ts";

export interface SamplingFields extends OutputFormatFields {
  /** 0 is greedy. Default 1. */
  temperature?: Maybe<number>;
  top_p?: Maybe<number>;
  /** 0 and -1: off. */
  top_k?: Maybe<number>;
  min_p?: Maybe<number>;
  /** 1: off. */
  typical_p?: Maybe<number>;
  /** Over prompt and output; 1: off. */
  repetition_penalty?: Maybe<number>;
  frequency_penalty?: Maybe<number>;
  presence_penalty?: Maybe<number>;
  /** Token ids as decimal strings, to what is added to their logits. */
  logit_bias?: Maybe<Record<string, number>>;
  /** Any 64-bit integer. */
  seed?: Maybe<number>;
  stop?: Maybe<string | string[]>;
  max_tokens?: Maybe<number>;
  n?: Maybe<number>;
  ignore_eos?: Maybe<boolean>;
  /** Which adapters, by GET /lora-adapters' ids; []: none. Default: the server's. */
  lora?: Maybe<LoraScale[]>;
  /** The prefix cache is shared by requests of an equal one alone, as of vLLM's server; within a key, where there are some. */
  cache_salt?: Maybe<string>;
  /** Also answer with the ids of the prompt and of each choice. */
  return_token_ids?: Maybe<boolean>;
  stream?: Maybe<boolean>;
  stream_options?: Maybe<{
    include_usage?: Maybe<boolean>;
    include_obfuscation?: Maybe<boolean>;
  }>;
  /** Seconds after which the answer ends with "length" and a token to go on with. */
  max_time?: Maybe<number>;
  /** true: events carry ids to go on from. Such an id: goes on there. */
  resume?: Maybe<boolean | string>;
  /** Accepted; without effect here. */
  user?: Maybe<string>;
  safety_identifier?: Maybe<string>;
  prompt_cache_key?: Maybe<string>;
  service_tier?: Maybe<string>;
  reasoning_effort?: Maybe<string>;
  verbosity?: Maybe<string>;
  store?: Maybe<boolean>;
  metadata?: Maybe<Record<string, string>>;
}

/** OpenAI's bound on n. */
const MAX_CHOICES = 128;
/** Every stop text is compared with every token's text; no use is known for longer ones. */
const MAX_STOP_CHARACTERS = 1024;
/** A hash, or the name of a tenant, has room; it is kept as long as a prefix is. */
const MAX_SALT_CHARACTERS = 256;
/** OpenAI's bounds on metadata. */
const METADATA = { pairs: 16, keyCharacters: 64, valueCharacters: 512 };

/** As resume-token.ts writes them, some 9,000 at most. */
const MAX_RESUME_CHARACTERS = 16_384;
/** A day: nobody waits longer. */
const MAX_SECONDS = 86_400;

const between = (low: number, high: number): z.ZodMiniType<number> =>
  z.number().check(z.gte(low), z.lte(high));
const countFrom = (low: number): z.ZodMiniType<number> => z.int().check(z.gte(low));
const stopText = z.string().check(z.maxLength(MAX_STOP_CHARACTERS));
/** Beyond 2^53 JSON numbers are rounded, which a seed survives: equal text, equal seed. */
const int64 = z
  .number()
  .check(z.refine(Number.isInteger, "expected an integer"), z.gte(-(2 ** 63)), z.lte(2 ** 63));

/** Shapes for `z.object`, to be spread. */
export const samplingFields: {
  readonly [Field in keyof SamplingFields]-?: z.ZodMiniType<SamplingFields[Field]>;
} = {
  ...outputFormatFields,
  temperature: z.nullish(between(0, 2)),
  top_p: z.nullish(between(0, 1)),
  top_k: z.nullish(countFrom(-1)),
  min_p: z.nullish(between(0, 1)),
  typical_p: z.nullish(between(0, 1)),
  repetition_penalty: z.nullish(between(...REPETITION_PENALTY_RANGE)),
  frequency_penalty: z.nullish(between(-2, 2)),
  presence_penalty: z.nullish(between(-2, 2)),
  logit_bias: z.nullish(z.record(z.string(), between(-100, 100))),
  seed: z.nullish(int64),
  stop: z.nullish(z.union([stopText, z.array(stopText).check(z.maxLength(MAX_STOPS))])),
  max_tokens: z.nullish(countFrom(1)),
  n: z.nullish(z.int().check(z.gte(1), z.lte(MAX_CHOICES))),
  ignore_eos: z.nullish(z.boolean()),
  lora: z.nullish(loraScales),
  cache_salt: z.nullish(z.string().check(z.minLength(1), z.maxLength(MAX_SALT_CHARACTERS))),
  return_token_ids: z.nullish(z.boolean()),
  stream: z.nullish(z.boolean()),
  stream_options: z.nullish(
    z.object({
      include_usage: z.nullish(z.boolean()),
      include_obfuscation: z.nullish(z.boolean()),
    }),
  ),
  max_time: z.nullish(between(0, MAX_SECONDS)),
  resume: z.nullish(z.union([z.boolean(), z.string().check(z.maxLength(MAX_RESUME_CHARACTERS))])),
  user: z.nullish(z.string()),
  safety_identifier: z.nullish(z.string()),
  prompt_cache_key: z.nullish(z.string()),
  service_tier: z.nullish(z.string()),
  reasoning_effort: z.nullish(z.string()),
  verbosity: z.nullish(z.string()),
  store: z.nullish(z.boolean()),
  metadata: z.nullish(
    z
      .record(
        z.string().check(z.maxLength(METADATA.keyCharacters)),
        z.string().check(z.maxLength(METADATA.valueCharacters)),
      )
      .check(
        z.refine(
          (pairs) => Object.keys(pairs).length <= METADATA.pairs,
          `expected at most ${METADATA.pairs} pairs`,
        ),
      ),
  ),
};
