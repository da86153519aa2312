/** What an answer's parts are called in the AI SDK. */
import type {
  JSONObject,
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3Usage,
  SharedV3ProviderMetadata,
} from "@ai-sdk/provider";
import type { ChatAnswer, ChatEnd, TokenEntry } from "../server/chat-run.ts";
import type { AnswerHead } from "../server/job.ts";
import type { Usage } from "../server/usage.ts";

export function contentOf({ content, toolCalls }: ChatAnswer): LanguageModelV3Content[] {
  return [
    ...(content === "" ? [] : [{ type: "text" as const, text: content }]),
    ...toolCalls.map(({ id, function: { name, arguments: input } }) => ({
      type: "tool-call" as const,
      toolCallId: id,
      toolName: name,
      input,
    })),
  ];
}

const UNIFIED: Readonly<Record<string, LanguageModelV3FinishReason["unified"]>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
};

export function finishReasonOf(raw: string): LanguageModelV3FinishReason {
  return { unified: UNIFIED[raw] ?? "other", raw };
}

export function usageOf(usage: Usage): LanguageModelV3Usage {
  const { prompt_tokens: total, completion_tokens } = usage;
  const { cached_tokens: cacheRead } = usage.prompt_tokens_details;
  const { reasoning_tokens: reasoning } = usage.completion_tokens_details;
  return {
    inputTokens: { total, noCache: total - cacheRead, cacheRead, cacheWrite: undefined },
    outputTokens: { total: completion_tokens, text: completion_tokens - reasoning, reasoning },
    raw: usage as unknown as JSONObject,
  };
}

/** `providerMetadata.pronk`: log-probabilities where they were asked for, times, and what ended it. */
export function metadataOf(
  { timings, stop_reason = null }: ChatEnd,
  { system_fingerprint }: AnswerHead,
  logprobs: readonly TokenEntry[] | undefined,
): SharedV3ProviderMetadata {
  const own = { system_fingerprint, timings, stop_reason, logprobs };
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  return { pronk: Object.fromEntries(given) as JSONObject };
}
