/**
 * What the routes answer with, for the OpenAPI document: the server does not check its own answers, the
 * tests do. Objects may have more fields than are named.
 */
import * as z from "zod/mini";

type Schema = z.ZodMiniType<unknown>;

const count: z.ZodMiniType<number> = z.int().check(z.gte(0));
const ms: z.ZodMiniType<number> = z.number().check(z.gte(0));
const nullableString = z.nullable(z.string());
const finishReason = z.enum(["stop", "length", "tool_calls", "content_filter"]);

/** Every answer that is not a success. */
export const errorAnswer: Schema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: nullableString,
    code: nullableString,
  }),
});

export const timings: Schema = z.object({
  queue_ms: ms,
  cached_n: count,
  cache_n: count,
  prompt_n: count,
  prompt_ms: ms,
  prompt_per_second: ms,
  predicted_n: count,
  predicted_ms: ms,
  predicted_per_second: ms,
  draft_n: count,
  draft_n_accepted: count,
  backend: z.string(),
  kernel: z.string(),
});

export const usage: Schema = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count }),
  completion_tokens_details: z.object({ reasoning_tokens: count }),
});

const tokenLogprob = {
  token: z.string(),
  logprob: z.number(),
  bytes: z.nullable(z.array(count)),
};
const chatLogprobs = z.nullable(
  z.object({
    content: z.nullable(
      z.array(z.object({ ...tokenLogprob, top_logprobs: z.array(z.object(tokenLogprob)) })),
    ),
    refusal: z.nullable(z.array(z.unknown())),
  }),
);
const completionLogprobs = z.nullable(
  z.object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.nullable(z.number())),
    top_logprobs: z.array(z.nullable(z.record(z.string(), z.number()))),
    text_offset: z.array(count),
  }),
);

const head = {
  id: z.string(),
  created: count,
  model: z.string(),
  system_fingerprint: z.string(),
};
const tokenIds = z.optional(z.array(count));

export const chatAnswer: Schema = z.object({
  ...head,
  object: z.literal("chat.completion"),
  choices: z.array(
    z.object({
      index: count,
      message: z.object({
        role: z.literal("assistant"),
        content: nullableString,
        refusal: nullableString,
        tool_calls: z.optional(
          z.array(
            z.object({
              id: z.string(),
              type: z.literal("function"),
              function: z.object({ name: z.string(), arguments: z.string() }),
            }),
          ),
        ),
      }),
      logprobs: chatLogprobs,
      finish_reason: finishReason,
      stop_reason: z.optional(z.string()),
      token_ids: tokenIds,
    }),
  ),
  usage,
  timings,
});

export const chatChunk: Schema = z.object({
  ...head,
  object: z.literal("chat.completion.chunk"),
  choices: z.array(
    z.object({
      index: count,
      delta: z.object({
        role: z.optional(z.literal("assistant")),
        content: z.optional(nullableString),
        tool_calls: z.optional(
          z.array(
            z.object({
              index: count,
              id: z.optional(z.string()),
              type: z.optional(z.literal("function")),
              function: z.object({ name: z.optional(z.string()), arguments: z.string() }),
            }),
          ),
        ),
      }),
      logprobs: chatLogprobs,
      finish_reason: z.nullable(finishReason),
    }),
  ),
  usage: z.optional(z.nullable(usage)),
});

export const completionAnswer: Schema = z.object({
  ...head,
  object: z.literal("text_completion"),
  choices: z.array(
    z.object({
      index: count,
      text: z.string(),
      logprobs: completionLogprobs,
      finish_reason: z.nullable(finishReason),
      token_ids: tokenIds,
    }),
  ),
  usage: z.optional(z.nullable(usage)),
});

const vector = z.union([z.string(), z.array(z.number())]);

export const embeddingsAnswer: Schema = z.object({
  object: z.literal("list"),
  model: z.string(),
  data: z.array(
    z.object({
      object: z.literal("embedding"),
      index: count,
      // One a token, with pooling none.
      embedding: z.union([vector, z.array(vector)]),
    }),
  ),
  usage: z.object({ prompt_tokens: count, total_tokens: count }),
});

export const rerankAnswer: Schema = z.object({
  object: z.literal("list"),
  model: z.string(),
  results: z.array(
    z.object({
      index: count,
      relevance_score: z.number(),
      document: z.optional(z.object({ text: z.string() })),
    }),
  ),
  usage: z.object({ prompt_tokens: count, total_tokens: count }),
});

const promptUsage = z.object({ prompt_tokens: count, total_tokens: count });

export const scoreAnswer: Schema = z.object({
  object: z.literal("list"),
  model: z.string(),
  data: z.array(
    z.object({
      object: z.literal("score"),
      index: count,
      logprob: z.number(),
      token_logprobs: z.array(z.number()),
      token_ids: z.array(count),
      is_greedy: z.boolean(),
    }),
  ),
  usage: promptUsage,
});

export const perplexityAnswer: Schema = z.object({
  object: z.literal("perplexity"),
  model: z.string(),
  perplexity: z.number(),
  nll: z.number(),
  tokens: count,
  window: count,
  usage: promptUsage,
});

export const tokenizeAnswer: Schema = z.object({
  tokens: z.array(count),
  count,
  max_model_len: count,
  token_strs: z.optional(z.array(z.string())),
  pieces: z.optional(
    z.array(
      z.object({
        id: count,
        text: z.string(),
        bytes: z.array(count),
        start: count,
        end: count,
        special: z.boolean(),
      }),
    ),
  ),
});

export const detokenizeAnswer: Schema = z.object({ prompt: z.string() });

export const tokenizerAnswer: Schema = z.object({
  tokenizer_class: z.string(),
  bos_token: nullableString,
  eos_token: nullableString,
  pad_token: nullableString,
  unk_token: nullableString,
  chat_template: nullableString,
  vocab_size: count,
  model_max_length: count,
});

export const modelAnswer: Schema = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: count,
  owned_by: z.string(),
  context_length: count,
  backend: z.string(),
  backend_reason: z.optional(z.string()),
  kernel: z.string(),
  kernel_reason: z.optional(z.string()),
  threads: count,
  threads_reason: z.optional(z.string()),
  memory: z.object({ weights: count, kv: count, total: count }),
  root: z.string(),
  parent: nullableString,
});

export const modelsAnswer: Schema = z.object({
  object: z.literal("list"),
  data: z.array(modelAnswer),
});

export const adaptersAnswer: Schema = z.array(
  z.object({ id: count, name: z.string(), path: z.string(), scale: z.number() }),
);

export const successAnswer: Schema = z.object({ success: z.literal(true) });

export const healthAnswer: Schema = z.object({
  status: z.literal("ok"),
  loading: z.optional(z.record(z.string(), z.number())),
});

export const unhealthyAnswer: Schema = z.object({
  status: z.enum(["loading", "failed", "stopping"]),
  progress: z.optional(z.number().check(z.gte(0), z.lte(1))),
  error: z.optional(z.object({ code: z.string(), message: z.optional(z.string()) })),
});

export const text: Schema = z.string();
