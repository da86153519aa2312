/** A running chat as the parts of an AI SDK stream: text and tool calls each begin, go on and end. */
import type { LanguageModelV3StreamPart, SharedV3Warning } from "@ai-sdk/provider";
import type { ChatEvent, TokenEntry, ToolCallDelta } from "../server/chat-run.ts";
import type { AnswerHead } from "../server/job.ts";
import { finishReasonOf, metadataOf, usageOf } from "./answer.ts";

export interface StreamContext {
  readonly head: AnswerHead;
  readonly warnings: readonly SharedV3Warning[];
  /** Log-probabilities were asked for. */
  readonly withLogprobs: boolean;
  /** The chat's own events are wanted, too. */
  readonly withRaw: boolean;
}

/** The one text of an answer. */
const TEXT_ID = "0";

interface OpenCall {
  readonly id: string;
  readonly name: string;
  input: string;
}

/** @throws what the events throw. */
export async function* streamParts(
  events: AsyncIterable<ChatEvent>,
  { head, warnings, withLogprobs, withRaw }: StreamContext,
): AsyncGenerator<LanguageModelV3StreamPart, void, undefined> {
  yield { type: "stream-start", warnings: [...warnings] };
  const { id, created, model: modelId } = head;
  yield { type: "response-metadata", id, timestamp: new Date(created * 1000), modelId };

  const logprobs: TokenEntry[] = [];
  const calls = new Map<number, OpenCall>();
  let open: "text" | number | undefined;
  const close = function* (): Generator<LanguageModelV3StreamPart> {
    if (open === "text") yield { type: "text-end", id: TEXT_ID };
    const call = typeof open === "number" ? calls.get(open) : undefined;
    if (call !== undefined) {
      yield { type: "tool-input-end", id: call.id };
      const { id: toolCallId, name: toolName, input } = call;
      yield { type: "tool-call", toolCallId, toolName, input };
    }
    open = undefined;
  };
  const continueCall = function* (delta: ToolCallDelta): Generator<LanguageModelV3StreamPart> {
    const { name, arguments: more = "" } = delta.function ?? {};
    if (delta.id !== undefined && !calls.has(delta.index)) {
      yield* close();
      open = delta.index;
      calls.set(delta.index, { id: delta.id, name: name ?? "", input: "" });
      yield { type: "tool-input-start", id: delta.id, toolName: name ?? "" };
    }
    const call = calls.get(delta.index);
    if (call === undefined || more === "") return;
    call.input += more;
    yield { type: "tool-input-delta", id: call.id, delta: more };
  };

  for await (const event of events) {
    if (withRaw) yield { type: "raw", rawValue: event };
    if ("end" in event) {
      yield* close();
      yield {
        type: "finish",
        finishReason: finishReasonOf(event.end.finish_reason),
        usage: usageOf(event.end.usage),
        providerMetadata: metadataOf(event.end, head, withLogprobs ? logprobs : undefined),
      };
      continue;
    }
    logprobs.push(...event.logprobs);
    if (event.content !== "") {
      if (open !== "text") {
        yield* close();
        open = "text";
        yield { type: "text-start", id: TEXT_ID };
      }
      yield { type: "text-delta", id: TEXT_ID, delta: event.content };
    }
    for (const delta of event.toolCalls) yield* continueCall(delta);
  }
}
