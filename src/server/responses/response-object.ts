/** The response object, with every key that OpenAI's and the Open Responses schemas ask for. */
import type { ResponseRequest } from "../schemas/responses.ts";
import type { Usage } from "../usage.ts";
import { echoedFormat, echoedToolChoice, echoedTools } from "./chat-body.ts";
import type { OutputItem } from "./items.ts";

export interface ResponseUsage {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
}

/** What changes while a response is made; the rest repeats the request. */
export interface ResponseObject {
  id: string;
  object: "response";
  /** Unix seconds. */
  created_at: number;
  completed_at: number | null;
  status: "in_progress" | "completed" | "incomplete" | "failed";
  incomplete_details: { reason: "max_output_tokens" } | null;
  error: { code: string; message: string } | null;
  output: OutputItem[];
  usage: ResponseUsage | null;
  store: boolean;
  [key: string]: unknown;
}

export interface ResponseHead {
  readonly id: string;
  readonly created_at: number;
  /** As the request has it: the base model or an adapter. */
  readonly model: string;
  readonly store: boolean;
}

/** A response that has just begun. */
export function beginResponse(request: ResponseRequest, head: ResponseHead): ResponseObject {
  return {
    id: head.id,
    object: "response",
    created_at: head.created_at,
    completed_at: null,
    status: "in_progress",
    incomplete_details: null,
    model: head.model,
    previous_response_id: request.previous_response_id ?? null,
    instructions: request.instructions ?? null,
    output: [],
    error: null,
    tools: echoedTools(request.tools),
    tool_choice: echoedToolChoice(request.tool_choice),
    truncation: request.truncation ?? "disabled",
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    text: { format: echoedFormat(request.text?.format ?? undefined) },
    top_p: request.top_p ?? 1,
    presence_penalty: request.presence_penalty ?? 0,
    frequency_penalty: request.frequency_penalty ?? 0,
    top_logprobs: request.top_logprobs ?? 0,
    temperature: request.temperature ?? 1,
    reasoning: { effort: null, summary: null }, // whatever was asked for: none is done
    user: request.user ?? null,
    usage: null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: request.max_tool_calls ?? null,
    store: head.store,
    background: false,
    service_tier: "default",
    metadata: request.metadata ?? {},
    safety_identifier: request.safety_identifier ?? null,
    prompt_cache_key: request.prompt_cache_key ?? null,
  };
}

export function responseUsage(usage: Usage): ResponseUsage {
  return {
    input_tokens: usage.prompt_tokens,
    // What the cache takes in costs nothing here.
    input_tokens_details: { ...usage.prompt_tokens_details, cache_write_tokens: 0 },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: usage.completion_tokens_details.reasoning_tokens },
    total_tokens: usage.total_tokens,
  };
}
