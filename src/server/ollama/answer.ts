/** Answers of a chat as Ollama writes them: one JSON object, or one a line. */
import { abortOf, streamOptions } from "../answer.ts";
import type { ChatEnd, ChatEvent, RunningChat, TokenEntry, ToolCallDelta } from "../chat-run.ts";
import type { AppContext, ServerContext } from "../context.ts";
import { toErrorReply } from "../errors.ts";
import { type EventStyle, eventStream } from "../sse.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What a route calls its text. */
export interface OllamaShape {
  part(text: string, toolCalls?: readonly Fields[]): Fields;
}

export const CHAT_SHAPE: OllamaShape = {
  part: (content, tool_calls) => ({
    message: { role: "assistant", content, ...(tool_calls?.length ? { tool_calls } : {}) },
  }),
};
export const GENERATE_SHAPE: OllamaShape = { part: (response) => ({ response }) };

const LINES: EventStyle = {
  frame: (value) => `${JSON.stringify(value)}\n`,
  failure: (error) => `${JSON.stringify({ error: toErrorReply(error).body.error.message })}\n`,
  end: "",
  contentType: "application/x-ndjson",
};

/** @param startedMs when the request began, by the server's clock. */
export async function ollamaAnswer(
  c: AppContext,
  server: ServerContext,
  begin: (abort: AbortController) => Promise<RunningChat>,
  how: { readonly shape: OllamaShape; readonly model: string; readonly isStream: boolean },
): Promise<Response> {
  const { shape, model, isStream } = how;
  const startedMs = server.clock.now();
  const abort = abortOf(c);
  const chat = await begin(abort);
  const head = (): Fields => ({ model, created_at: timeOf(server.clock.wall()) });
  const endOf = (end: ChatEnd): Fields => ({
    done: true,
    done_reason: end.finish_reason === "length" ? "length" : "stop",
    total_duration: nanoseconds(server.clock.now() - startedMs),
    load_duration: 0,
    prompt_eval_count: end.usage.prompt_tokens,
    prompt_eval_duration: nanoseconds(end.timings.prompt_ms),
    eval_count: end.usage.completion_tokens,
    eval_duration: nanoseconds(end.timings.predicted_ms),
  });
  if (!isStream) {
    const answer = await chat.whole();
    const calls = answer.toolCalls.flatMap(({ function: called }) => wholeCall(called));
    return c.json({
      ...head(),
      ...shape.part(answer.content, calls),
      ...endOf(answer),
      ...logprobsOf(answer.logprobs),
    });
  }
  async function* lines(): AsyncGenerator<Fields, void, undefined> {
    const calls = new CallCollector();
    for await (const event of chat.events()) {
      const { text, toolCalls, logprobs } = calls.take(event);
      if (text !== "" || toolCalls.length > 0 || logprobs.length > 0) {
        yield { ...head(), ...shape.part(text, toolCalls), done: false, ...logprobsOf(logprobs) };
      }
      if ("end" in event) yield { ...head(), ...shape.part(""), ...endOf(event.end) };
    }
  }
  // A line of nothing is no line to its clients, so that there are no pings.
  const options = { ...streamOptions(c, server, abort), ping: undefined, style: LINES };
  return eventStream(c, lines(), options);
}

/** Calls come in pieces, and go out whole: with the next one, or at the end. */
class CallCollector {
  #open: { index: number; name: string; arguments: string } | undefined;

  take(event: ChatEvent): { text: string; toolCalls: Fields[]; logprobs: readonly TokenEntry[] } {
    if ("end" in event) return { text: "", toolCalls: this.#close(), logprobs: [] };
    const toolCalls = event.toolCalls.flatMap((delta) => this.#push(delta));
    return { text: event.content, toolCalls, logprobs: event.logprobs };
  }

  #push({ index, function: piece }: ToolCallDelta): Fields[] {
    const done = this.#open !== undefined && this.#open.index !== index ? this.#close() : [];
    this.#open ??= { index, name: piece?.name ?? "", arguments: "" };
    this.#open.arguments += piece?.arguments ?? "";
    return done;
  }

  #close(): Fields[] {
    const open = this.#open;
    this.#open = undefined;
    return open === undefined ? [] : wholeCall(open);
  }
}

/** Nothing of a call that the token limit cut: its arguments are no JSON. */
function wholeCall(call: { readonly name: string; readonly arguments: string }): Fields[] {
  try {
    return [{ function: { name: call.name, arguments: JSON.parse(call.arguments || "{}") } }];
  } catch {
    return [];
  }
}

const logprobsOf = (logprobs: readonly TokenEntry[]): Fields =>
  logprobs.length === 0 ? {} : { logprobs };

export const timeOf = (ms: number): string => new Date(ms).toISOString();

export const nanoseconds = (ms: number): number => Math.max(0, Math.round(ms * 1e6));
