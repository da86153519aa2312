/** The bodies of POST /v1/responses and /v1/responses/input_tokens. Fields that are not named here are ignored. */
import * as z from "zod/mini";
import type { Maybe } from "./maybe.ts";
import { type SamplingFields, samplingFields } from "./sampling.ts";

/** Text of a message. Clients write answers of the chat API back, too. */
export type InputPart =
  | { type: "input_text" | "output_text" | "text"; text: string }
  | { type: "refusal"; refusal: string }
  /** Known, to be refused by name. */
  | { type: "input_image" | "input_file" | "input_audio" };

export interface InputMessage {
  type?: "message" | undefined;
  role: "system" | "developer" | "user" | "assistant";
  content: string | InputPart[];
}

export interface InputCall {
  type: "function_call";
  call_id: string;
  name: string;
  arguments: string;
}

export interface InputCallOutput {
  type: "function_call_output";
  call_id: string;
  output: string | InputPart[];
}

/** An element of `input`. */
export type InputItem =
  | InputMessage
  | InputCall
  | InputCallOutput
  | { type: "item_reference"; id: string }
  /** What other models thought: of no use to this one. */
  | { type: "reasoning" }
  /** Known, to be refused by name. */
  | { type: (typeof FOREIGN_ITEMS)[number] };

export type TextFormat =
  | { type: "text" }
  | { type: "json_object" }
  | {
      type: "json_schema";
      schema: unknown;
      name?: Maybe<string>;
      description?: Maybe<string>;
      strict?: Maybe<boolean>;
    };

export interface ResponseTool {
  /** Anything but "function" is refused by name. */
  type: string;
  name?: Maybe<string>;
  description?: Maybe<string>;
  parameters?: Maybe<Record<string, unknown>>;
  strict?: Maybe<boolean>;
}

export interface ResponseToolChoice {
  /** Anything but "function" and "allowed_tools" is refused by name. */
  type: string;
  name?: Maybe<string>;
  mode?: Maybe<"auto" | "required">;
  tools?: Maybe<{ type: string; name?: Maybe<string> }[]>;
}

/** What of chat's fields this route spells in its own way, or has not. */
type OnlyChat =
  | "n"
  | "max_tokens"
  | "response_format"
  | "return_token_ids"
  | "json_schema"
  | "resume";

/** What decides over the prompt. */
export interface PromptFields {
  input: string | InputItem[];
  instructions?: Maybe<string>;
  previous_response_id?: Maybe<string>;
  text?: Maybe<{ format?: Maybe<TextFormat> }>;
  tools?: Maybe<ResponseTool[]>;
  tool_choice?: Maybe<"none" | "auto" | "required" | ResponseToolChoice>;
  parallel_tool_calls?: Maybe<boolean>;
  truncation?: Maybe<"auto" | "disabled">;
}

export interface ResponseRequest extends PromptFields, Omit<SamplingFields, OnlyChat> {
  model: string;
  max_output_tokens?: Maybe<number>;
  max_tool_calls?: Maybe<number>;
  /** `message.output_text.logprobs` has an effect. */
  include?: Maybe<string[]>;
  top_logprobs?: Maybe<number>;
  prompt_cache_key?: Maybe<string>;
  safety_identifier?: Maybe<string>;
}

export interface InputTokensRequest extends PromptFields {
  model?: Maybe<string>;
}

/** OpenAI's bound. */
const LEAST_OUTPUT_TOKENS = 16;

/** OpenAI's kinds of items that belong to tools of its own. */
const FOREIGN_ITEMS = [
  "apply_patch_call",
  "apply_patch_call_output",
  "code_interpreter_call",
  "compaction",
  "computer_call",
  "computer_call_output",
  "custom_tool_call",
  "custom_tool_call_output",
  "file_search_call",
  "image_generation_call",
  "local_shell_call",
  "local_shell_call_output",
  "mcp_approval_request",
  "mcp_approval_response",
  "mcp_call",
  "mcp_list_tools",
  "shell_call",
  "shell_call_output",
  "web_search_call",
] as const;

const part: z.ZodMiniType<InputPart> = z.discriminatedUnion("type", [
  z.object({ type: z.enum(["input_text", "output_text", "text"]), text: z.string() }),
  z.object({ type: z.literal("refusal"), refusal: z.string() }),
  z.object({ type: z.enum(["input_image", "input_file", "input_audio"]) }),
]);

const content: z.ZodMiniType<string | InputPart[]> = z.union([
  z.string(),
  z.array(part).check(z.minLength(1)),
]);

const item: z.ZodMiniType<InputItem> = z.discriminatedUnion("type", [
  z.object({
    type: z.optional(z.literal("message")),
    role: z.enum(["system", "developer", "user", "assistant"]),
    content,
  }),
  z.object({
    type: z.literal("function_call"),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({ type: z.literal("function_call_output"), call_id: z.string(), output: content }),
  z.object({ type: z.literal("item_reference"), id: z.string() }),
  z.object({ type: z.literal("reasoning") }),
  z.object({ type: z.enum(FOREIGN_ITEMS) }),
]);

const format: z.ZodMiniType<TextFormat> = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    schema: z.union([z.record(z.string(), z.unknown()), z.boolean()]),
    name: z.nullish(z.string()),
    description: z.nullish(z.string()),
    strict: z.nullish(z.boolean()),
  }),
]);

const tool: z.ZodMiniType<ResponseTool> = z.object({
  type: z.string(),
  name: z.nullish(z.string()),
  description: z.nullish(z.string()),
  parameters: z.nullish(z.record(z.string(), z.unknown())),
  strict: z.nullish(z.boolean()),
});

const promptFields: {
  readonly [Field in keyof PromptFields]-?: z.ZodMiniType<PromptFields[Field]>;
} = {
  input: z.union([z.string(), z.array(item).check(z.minLength(1))]),
  instructions: z.nullish(z.string()),
  previous_response_id: z.nullish(z.string()),
  text: z.nullish(z.object({ format: z.nullish(format) })),
  tools: z.nullish(z.array(tool)),
  tool_choice: z.nullish(
    z.union([
      z.enum(["none", "auto", "required"]),
      z.object({
        type: z.string(),
        name: z.nullish(z.string()),
        mode: z.nullish(z.enum(["auto", "required"])),
        tools: z.nullish(z.array(z.object({ type: z.string(), name: z.nullish(z.string()) }))),
      }),
    ]),
  ),
  parallel_tool_calls: z.nullish(z.boolean()),
  truncation: z.nullish(z.enum(["auto", "disabled"])),
};

const { n, max_tokens, response_format, return_token_ids, json_schema, resume, ...shared } =
  samplingFields;

export const responseRequest: z.ZodMiniType<ResponseRequest> = z.object({
  ...shared,
  ...promptFields,
  model: z.string(),
  max_output_tokens: z.nullish(z.int().check(z.gte(LEAST_OUTPUT_TOKENS))),
  max_tool_calls: z.nullish(z.int().check(z.gte(1))),
  include: z.nullish(z.array(z.string())),
  top_logprobs: z.nullish(z.int().check(z.gte(0), z.lte(20))),
  prompt_cache_key: z.nullish(z.string()),
  safety_identifier: z.nullish(z.string()),
});

export const inputTokensRequest: z.ZodMiniType<InputTokensRequest> = z.object({
  ...promptFields,
  model: z.nullish(z.string()),
});
