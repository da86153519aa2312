/** What the routes of /v1/responses answer with, for the OpenAPI document. */
import * as z from "zod/mini";

type Schema = z.ZodMiniType<unknown>;

const count = z.int().check(z.gte(0));
const nullableString = z.nullable(z.string());
const nullableCount = z.nullable(count);
const itemStatus = z.enum(["in_progress", "completed", "incomplete"]);

const tokenLogprob = { token: z.string(), logprob: z.number(), bytes: z.array(count) };
const outputText = z.object({
  type: z.literal("output_text"),
  text: z.string(),
  annotations: z.array(z.unknown()),
  logprobs: z.array(z.object({ ...tokenLogprob, top_logprobs: z.array(z.object(tokenLogprob)) })),
});

const message = {
  type: z.literal("message"),
  id: z.string(),
  status: itemStatus,
};
const functionCall = z.object({
  type: z.literal("function_call"),
  id: z.string(),
  status: itemStatus,
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
});

export const responseAnswer: Schema = z.object({
  id: z.string(),
  object: z.literal("response"),
  created_at: count,
  completed_at: nullableCount,
  status: z.enum(["in_progress", "completed", "incomplete", "failed"]),
  incomplete_details: z.nullable(z.object({ reason: z.literal("max_output_tokens") })),
  model: z.string(),
  previous_response_id: nullableString,
  instructions: nullableString,
  output: z.array(
    z.discriminatedUnion("type", [
      z.object({ ...message, role: z.literal("assistant"), content: z.array(outputText) }),
      functionCall,
    ]),
  ),
  error: z.nullable(
    z.object({
      code: z.enum(["server_error", "rate_limit_exceeded", "invalid_prompt"]),
      message: z.string(),
    }),
  ),
  tools: z.array(
    z.object({
      type: z.literal("function"),
      name: nullableString,
      description: nullableString,
      parameters: z.nullable(z.record(z.string(), z.unknown())),
      strict: z.nullable(z.boolean()),
    }),
  ),
  tool_choice: z.union([
    z.enum(["none", "auto", "required"]),
    z.object({ type: z.enum(["function", "allowed_tools"]) }),
  ]),
  truncation: z.enum(["auto", "disabled"]),
  parallel_tool_calls: z.boolean(),
  text: z.object({
    format: z.object({ type: z.enum(["text", "json_object", "json_schema"]) }),
  }),
  top_p: z.number(),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  top_logprobs: count,
  temperature: z.number(),
  reasoning: z.object({ effort: z.null(), summary: z.null() }),
  user: nullableString,
  usage: z.nullable(
    z.object({
      input_tokens: count,
      input_tokens_details: z.object({ cached_tokens: count, cache_write_tokens: count }),
      output_tokens: count,
      output_tokens_details: z.object({ reasoning_tokens: count }),
      total_tokens: count,
    }),
  ),
  max_output_tokens: nullableCount,
  max_tool_calls: nullableCount,
  store: z.boolean(),
  background: z.literal(false),
  service_tier: z.literal("default"),
  metadata: z.record(z.string(), z.string()),
  safety_identifier: nullableString,
  prompt_cache_key: nullableString,
});

export const responseEvent: Schema = z.object({
  type: z.enum([
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
  ]),
  sequence_number: count,
  response: z.optional(responseAnswer),
});

export const inputTokensAnswer: Schema = z.object({
  object: z.literal("response.input_tokens"),
  input_tokens: count,
});

export const deletedAnswer: Schema = z.object({
  id: z.string(),
  object: z.literal("response"),
  deleted: z.literal(true),
});

export const inputItemsAnswer: Schema = z.object({
  object: z.literal("list"),
  data: z.array(
    z.discriminatedUnion("type", [
      z.object({
        ...message,
        role: z.enum(["system", "developer", "user", "assistant"]),
        content: z.array(
          z.discriminatedUnion("type", [
            z.object({ type: z.literal("input_text"), text: z.string() }),
            outputText,
          ]),
        ),
      }),
      functionCall,
      z.object({
        type: z.literal("function_call_output"),
        id: z.string(),
        status: itemStatus,
        call_id: z.string(),
        output: z.string(),
      }),
    ]),
  ),
  first_id: nullableString,
  last_id: nullableString,
  has_more: z.boolean(),
});
