/** The body of POST /v1/chat/completions. Fields that are not named here are ignored. */
import * as z from "zod/mini";
import type { Maybe } from "./maybe.ts";
import { type SamplingFields, samplingFields } from "./sampling.ts";
import { type RequestToolCall, type ToolFields, toolCall, toolFields } from "./tools.ts";

export interface TextPart {
  type: "text";
  text: string;
}

/** One part of a message's content. Media parts are known, to be refused by name. */
export type ContentPart =
  | TextPart
  | { type: "refusal"; refusal: string }
  | { type: "image_url" | "input_audio" | "file" };

export interface RequestMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool" | "function";
  content?: Maybe<string | ContentPart[]>;
  name?: Maybe<string>;
  /** Of role assistant. */
  tool_calls?: Maybe<RequestToolCall[]>;
  /** Of role tool: whose result it is. */
  tool_call_id?: Maybe<string>;
  /** Known, to be refused by name. */
  function_call?: unknown;
}

export interface ChatRequest extends SamplingFields, ToolFields {
  model: string;
  messages: RequestMessage[];
  /** Wins over max_tokens. */
  max_completion_tokens?: Maybe<number>;
  logprobs?: Maybe<boolean>;
  /** Needs logprobs. */
  top_logprobs?: Maybe<number>;
  /** What the answer is expected to be: it comes sooner where it is right. */
  prediction?: Maybe<{ type: "content"; content: string | TextPart[] }>;
}

const textPart: z.ZodMiniType<TextPart> = z.object({ type: z.literal("text"), text: z.string() });

const part: z.ZodMiniType<ContentPart> = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: z.literal("refusal"), refusal: z.string() }),
  z.object({ type: z.enum(["image_url", "input_audio", "file"]) }),
]);

export const requestMessage: z.ZodMiniType<RequestMessage> = z.object({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: z.nullish(z.union([z.string(), z.array(part).check(z.minLength(1))])),
  name: z.nullish(z.string()),
  tool_calls: z.nullish(z.array(toolCall)),
  tool_call_id: z.nullish(z.string()),
  function_call: z.optional(z.unknown()),
});

const ownFields = {
  ...samplingFields,
  ...toolFields,
  model: z.string(),
  max_completion_tokens: samplingFields.max_tokens,
  logprobs: z.nullish(z.boolean()),
  top_logprobs: z.nullish(z.int().check(z.gte(0), z.lte(20))),
  prediction: z.nullish(
    z.object({
      type: z.literal("content"),
      content: z.union([z.string(), z.array(textPart)]),
    }),
  ),
};

/** A chat's fields for a prompt that is used raw. */
export const promptRequest: z.ZodMiniType<Omit<ChatRequest, "messages">> = z.object(ownFields);

export const chatRequest: z.ZodMiniType<ChatRequest> = z.object({
  ...ownFields,
  messages: z.array(requestMessage).check(z.minLength(1)),
});
