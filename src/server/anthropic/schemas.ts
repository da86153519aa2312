/** Bodies and answers of Anthropic's Messages API. Source: https://platform.claude.com/docs/en/api/messages, read in November 2026. */
import * as z from "zod/mini";
import type { Maybe } from "../schemas/maybe.ts";
import { samplingFields } from "../schemas/sampling.ts";

type Schema<T = unknown> = z.ZodMiniType<T>;

/** A part of a result: only texts are more than their type. */
export interface ResultPart {
  type: string;
  text?: Maybe<string>;
}

/** What a block has depends on its type: text, tool_use or tool_result; others are refused by it. */
export interface ContentBlock extends ResultPart {
  id?: Maybe<string>;
  name?: Maybe<string>;
  input?: Maybe<Record<string, unknown>>;
  tool_use_id?: Maybe<string>;
  content?: Maybe<string | ResultPart[]>;
  is_error?: Maybe<boolean>;
}

export interface AnthropicMessage {
  role: "user" | "assistant" | "system";
  content: string | ContentBlock[];
}

export interface AnthropicTool {
  /** Absent or "custom": the client's own. Others are the service's. */
  type?: Maybe<string>;
  name: string;
  description?: Maybe<string>;
  input_schema?: Maybe<Record<string, unknown>>;
  strict?: Maybe<boolean>;
}

export interface ToolChoice {
  type: "auto" | "any" | "tool" | "none";
  name?: Maybe<string>;
  disable_parallel_tool_use?: Maybe<boolean>;
}

/** What /v1/messages and /v1/messages/count_tokens share. */
export interface CountRequest {
  model: string;
  messages: AnthropicMessage[];
  system?: Maybe<string | { type: "text"; text: string }[]>;
  tools?: Maybe<AnthropicTool[]>;
  tool_choice?: Maybe<ToolChoice>;
  thinking?: Maybe<{ type: string }>;
  output_config?: Maybe<{ format?: Maybe<{ type: "json_schema"; schema?: unknown }> }>;
}

export interface MessagesRequest extends CountRequest {
  max_tokens: number;
  stop_sequences?: Maybe<string[]>;
  stream?: Maybe<boolean>;
  temperature?: Maybe<number>;
  top_p?: Maybe<number>;
  top_k?: Maybe<number>;
}

const textBlock: Schema<{ type: "text"; text: string }> = z.object({
  type: z.literal("text"),
  text: z.string(),
});

const resultPart: Schema<ResultPart> = z.object({
  type: z.string(),
  text: z.nullish(z.string()),
});

const block: Schema<ContentBlock> = z.object({
  type: z.string(),
  text: z.nullish(z.string()),
  id: z.nullish(z.string()),
  name: z.nullish(z.string()),
  input: z.nullish(z.record(z.string(), z.unknown())),
  tool_use_id: z.nullish(z.string()),
  content: z.nullish(z.union([z.string(), z.array(resultPart)])),
  is_error: z.nullish(z.boolean()),
});

const countFields = {
  model: z.string(),
  messages: z
    .array(
      z.object({
        role: z.enum(["user", "assistant", "system"]),
        content: z.union([z.string(), z.array(block)]),
      }),
    )
    .check(z.minLength(1)),
  system: z.nullish(z.union([z.string(), z.array(textBlock)])),
  tools: z.nullish(
    z.array(
      z.object({
        type: z.nullish(z.string()),
        name: z.string(),
        description: z.nullish(z.string()),
        input_schema: z.nullish(z.record(z.string(), z.unknown())),
        strict: z.nullish(z.boolean()),
      }),
    ),
  ),
  tool_choice: z.nullish(
    z.object({
      type: z.enum(["auto", "any", "tool", "none"]),
      name: z.nullish(z.string()),
      disable_parallel_tool_use: z.nullish(z.boolean()),
    }),
  ),
  thinking: z.nullish(z.object({ type: z.string() })),
  output_config: z.nullish(
    z.object({
      format: z.nullish(
        z.object({ type: z.literal("json_schema"), schema: z.optional(z.unknown()) }),
      ),
    }),
  ),
};

export const countRequest: Schema<CountRequest> = z.object(countFields);

export const messagesRequest: Schema<MessagesRequest> = z.object({
  ...countFields,
  max_tokens: z.int().check(z.gte(1)),
  stop_sequences: z.nullish(z.array(z.string().check(z.minLength(1))).check(z.maxLength(16))),
  stream: z.nullish(z.boolean()),
  temperature: z.nullish(z.number().check(z.gte(0), z.lte(1))),
  top_p: samplingFields.top_p,
  top_k: samplingFields.top_k,
});

const count: Schema = z.int().check(z.gte(0));

const usage = z.object({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
});

const content = z.array(
  z.union([
    textBlock,
    z.object({
      type: z.literal("tool_use"),
      id: z.string(),
      name: z.string(),
      input: z.record(z.string(), z.unknown()),
    }),
  ]),
);

export const messageAnswer: Schema = z.object({
  id: z.string(),
  type: z.literal("message"),
  role: z.literal("assistant"),
  model: z.string(),
  content,
  stop_reason: z.nullable(z.enum(["end_turn", "max_tokens", "stop_sequence", "tool_use"])),
  stop_sequence: z.nullable(z.string()),
  usage,
});

export const messageEvent: Schema = z.object({
  type: z.enum([
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "error",
  ]),
});

export const countAnswer: Schema = z.object({ input_tokens: count });

export const anthropicError: Schema = z.object({
  type: z.literal("error"),
  error: z.object({ type: z.string(), message: z.string() }),
  request_id: z.string(),
});
