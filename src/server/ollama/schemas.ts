/** Bodies and answers of Ollama's API. Source: https://docs.ollama.com/api, read in November 2026. */
import * as z from "zod/mini";
import type { Maybe } from "../schemas/maybe.ts";
import { samplingFields } from "../schemas/sampling.ts";

type Schema<T = unknown> = z.ZodMiniType<T>;

/** Those that say how a model is loaded have no effect on one that is. */
export interface OllamaOptions {
  temperature?: Maybe<number>;
  top_k?: Maybe<number>;
  top_p?: Maybe<number>;
  min_p?: Maybe<number>;
  typical_p?: Maybe<number>;
  /** Below 0: as far as the context goes. */
  num_predict?: Maybe<number>;
  /** Below 0: a random one. */
  seed?: Maybe<number>;
  stop?: Maybe<string | string[]>;
  repeat_penalty?: Maybe<number>;
  /** 0 turns repeat_penalty off; it is over all of prompt and output otherwise. */
  repeat_last_n?: Maybe<number>;
  presence_penalty?: Maybe<number>;
  frequency_penalty?: Maybe<number>;
  mirostat?: Maybe<number>;
  tfs_z?: Maybe<number>;
}

interface Shared {
  model: string;
  stream?: Maybe<boolean>;
  /** "json", or a JSON Schema. */
  format?: Maybe<string | Record<string, unknown>>;
  options?: Maybe<OllamaOptions>;
  keep_alive?: Maybe<string | number>;
  think?: Maybe<boolean | string>;
  logprobs?: Maybe<boolean>;
  top_logprobs?: Maybe<number>;
}

export interface OllamaToolCall {
  id?: Maybe<string>;
  function: { name: string; arguments?: Maybe<Record<string, unknown>> };
}

export interface OllamaMessage {
  role: "system" | "user" | "assistant" | "tool";
  content?: Maybe<string>;
  images?: Maybe<unknown[]>;
  tool_calls?: Maybe<OllamaToolCall[]>;
  tool_name?: Maybe<string>;
  tool_call_id?: Maybe<string>;
}

export interface OllamaChatRequest extends Shared {
  messages?: Maybe<OllamaMessage[]>;
  tools?: Maybe<unknown[]>;
}

export interface OllamaGenerateRequest extends Shared {
  prompt?: Maybe<string>;
  system?: Maybe<string>;
  raw?: Maybe<boolean>;
  images?: Maybe<unknown[]>;
  suffix?: Maybe<string>;
  template?: Maybe<string>;
  context?: Maybe<number[]>;
}

const number: Schema<Maybe<number>> = z.nullish(z.number());
const integer: Schema<Maybe<number>> = z.nullish(z.int());

const options: Schema<OllamaOptions> = z.object({
  temperature: samplingFields.temperature,
  top_k: samplingFields.top_k,
  top_p: samplingFields.top_p,
  min_p: samplingFields.min_p,
  typical_p: number,
  num_predict: integer,
  seed: samplingFields.seed,
  stop: samplingFields.stop,
  repeat_penalty: samplingFields.repetition_penalty,
  repeat_last_n: integer,
  presence_penalty: samplingFields.presence_penalty,
  frequency_penalty: samplingFields.frequency_penalty,
  mirostat: number,
  tfs_z: number,
});

const shared = {
  model: z.string(),
  stream: z.nullish(z.boolean()),
  format: z.nullish(z.union([z.string(), z.record(z.string(), z.unknown())])),
  options: z.nullish(options),
  keep_alive: z.nullish(z.union([z.string(), z.number()])),
  think: z.nullish(z.union([z.boolean(), z.string()])),
  logprobs: z.nullish(z.boolean()),
  top_logprobs: z.nullish(z.int().check(z.gte(0), z.lte(20))),
};

const message: Schema<OllamaMessage> = z.object({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: z.nullish(z.string()),
  images: z.nullish(z.array(z.unknown())),
  tool_calls: z.nullish(
    z.array(
      z.object({
        id: z.nullish(z.string()),
        function: z.object({
          name: z.string(),
          arguments: z.nullish(z.record(z.string(), z.unknown())),
        }),
      }),
    ),
  ),
  tool_name: z.nullish(z.string()),
  tool_call_id: z.nullish(z.string()),
});

export const ollamaChatRequest: Schema<OllamaChatRequest> = z.object({
  ...shared,
  messages: z.nullish(z.array(message)),
  tools: z.nullish(z.array(z.unknown())),
});

export const ollamaGenerateRequest: Schema<OllamaGenerateRequest> = z.object({
  ...shared,
  prompt: z.nullish(z.string()),
  system: z.nullish(z.string()),
  raw: z.nullish(z.boolean()),
  images: z.nullish(z.array(z.unknown())),
  suffix: z.nullish(z.string()),
  template: z.nullish(z.string()),
  context: z.nullish(z.array(z.int().check(z.gte(0)))),
});

/** Older clients say `name`. */
export const ollamaShowRequest: Schema<{ model?: Maybe<string>; name?: Maybe<string> }> = z.object({
  model: z.nullish(z.string()),
  name: z.nullish(z.string()),
});

export interface OllamaEmbedRequest {
  model: string;
  input?: Maybe<string | string[]>;
  /** Default true: what is longer than the context is cut. */
  truncate?: Maybe<boolean>;
  dimensions?: Maybe<number>;
  keep_alive?: Maybe<string | number>;
}

export const ollamaEmbedRequest: Schema<OllamaEmbedRequest> = z.object({
  model: z.string(),
  input: z.nullish(z.union([z.string(), z.array(z.string()).check(z.maxLength(2048))])),
  truncate: z.nullish(z.boolean()),
  dimensions: z.nullish(z.int().check(z.gte(1))),
  keep_alive: shared.keep_alive,
});

/** The older route's: one text. */
export const ollamaEmbeddingsRequest: Schema<{ model: string; prompt: string }> = z.object({
  model: z.string(),
  prompt: z.string(),
});

const count: Schema = z.int().check(z.gte(0));
const ends = {
  model: z.string(),
  created_at: z.string(),
  done: z.boolean(),
  done_reason: z.optional(z.enum(["stop", "length", "load"])),
  total_duration: z.optional(count),
  load_duration: z.optional(count),
  prompt_eval_count: z.optional(count),
  prompt_eval_duration: z.optional(count),
  eval_count: z.optional(count),
  eval_duration: z.optional(count),
};

export const ollamaChatAnswer: Schema = z.object({
  ...ends,
  message: z.object({
    role: z.literal("assistant"),
    content: z.string(),
    tool_calls: z.optional(
      z.array(
        z.object({
          function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }),
        }),
      ),
    ),
  }),
});

export const ollamaGenerateAnswer: Schema = z.object({ ...ends, response: z.string() });

const details = z.object({
  parent_model: z.string(),
  format: z.string(),
  family: z.string(),
  families: z.array(z.string()),
  parameter_size: z.string(),
  quantization_level: z.string(),
});

export const ollamaModelsAnswer: Schema = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      model: z.string(),
      size: count,
      digest: z.string(),
      details,
    }),
  ),
});

export const ollamaShowAnswer: Schema = z.object({
  modelfile: z.string(),
  parameters: z.string(),
  template: z.string(),
  details,
  model_info: z.record(z.string(), z.unknown()),
  capabilities: z.array(z.string()),
  modified_at: z.string(),
});

export const ollamaEmbedAnswer: Schema = z.object({
  model: z.string(),
  embeddings: z.array(z.array(z.number())),
  total_duration: count,
  load_duration: count,
  prompt_eval_count: count,
});

export const ollamaEmbeddingsAnswer: Schema = z.object({ embedding: z.array(z.number()) });

export const ollamaVersionAnswer: Schema = z.object({ version: z.string() });

export const ollamaError: Schema = z.object({ error: z.string() });
