/** Answers of a chat as Anthropic's messages, whole and as events. */
import { streamOptions } from "../answer.ts";
import type { ChatAnswer, ChatEnd, RunningChat, ToolCallDelta } from "../chat-run.ts";
import type { AppContext, ServerContext } from "../context.ts";
import { type ErrorReply, toErrorReply } from "../errors.ts";
import type { ErrorForm } from "../operation.ts";
import { type EventStyle, eventStream } from "../sse.ts";
import type { Usage } from "../usage.ts";
import { anthropicError } from "./schemas.ts";

type Fields = Readonly<Record<string, unknown>>;

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  405: "invalid_request_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
};

export const ANTHROPIC_ERRORS: ErrorForm = {
  schema: anthropicError,
  spell(reply, c) {
    const id = c.get("record").id;
    c.header("request-id", id);
    return { ...errorOf(reply), request_id: id };
  },
};

/** A failure as Anthropic spells it. */
export function errorOf({ status, body }: ErrorReply): Fields {
  const type = ERROR_TYPES[status] ?? "api_error";
  return { type: "error", error: { type, message: body.error.message } };
}

function usageOf({ prompt_tokens, completion_tokens, prompt_tokens_details }: Usage): Fields {
  const { cached_tokens } = prompt_tokens_details;
  return {
    // Those from the cache are not counted here.
    input_tokens: prompt_tokens - cached_tokens,
    cache_read_input_tokens: cached_tokens,
    cache_creation_input_tokens: 0,
    output_tokens: completion_tokens,
  };
}

function stopOf({ finish_reason, stop_reason }: ChatEnd): Fields {
  const stop_sequence = stop_reason ?? null;
  const reasons: Fields = { length: "max_tokens", tool_calls: "tool_use" };
  const ended = stop_sequence === null ? "end_turn" : "stop_sequence";
  return { stop_reason: reasons[finish_reason] ?? ended, stop_sequence };
}

const message = ({ head }: RunningChat, fields: Fields): Fields => ({
  id: head.id.replace(/^chatcmpl-/, "msg_"),
  type: "message",
  role: "assistant",
  model: head.model,
  container: null,
  stop_details: null,
  diagnostics: null,
  ...fields,
});

export function wholeMessage(chat: RunningChat, answer: ChatAnswer): Fields {
  const { content, toolCalls, usage } = answer;
  return message(chat, {
    content: [
      ...(content === "" ? [] : [{ type: "text", text: content, citations: null }]),
      ...toolCalls.map(({ id, function: { name, arguments: given } }) => ({
        type: "tool_use",
        id,
        name,
        input: parsed(given),
      })),
    ],
    ...stopOf(answer),
    usage: usageOf(usage),
  });
}

/** Arguments that the token limit cut are no JSON: there are none then. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return {};
  }
}

const NAMED: EventStyle = {
  frame: (value) =>
    `event: ${(value as { type: string }).type}\ndata: ${JSON.stringify(value)}\n\n`,
  failure: (error) => NAMED.frame(errorOf(toErrorReply(error))),
  ping: 'event: ping\ndata: {"type":"ping"}\n\n',
  end: "",
};

export function streamMessage(
  c: AppContext,
  server: ServerContext,
  chat: RunningChat,
  abort: AbortController,
): Promise<Response> {
  return eventStream(c, messageEvents(chat), {
    ...streamOptions(c, server, abort),
    style: NAMED,
  });
}

/** What follows the start waits for the first token: until then a failure has a status. */
async function* messageEvents(chat: RunningChat): AsyncGenerator<Fields, void, undefined> {
  const input_tokens = chat.job.prompts[0]?.length ?? 0;
  const start = {
    type: "message_start",
    message: message(chat, {
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: {
        input_tokens,
        cache_read_input_tokens: 0,
        cache_creation_input_tokens: 0,
        output_tokens: 0,
      },
    }),
  };
  const blocks = new Blocks();
  let isStarted = false;
  for await (const event of chat.events()) {
    if (!isStarted) yield start;
    isStarted = true;
    if ("end" in event) {
      yield* blocks.close();
      const { end } = event;
      yield { type: "message_delta", delta: stopOf(end), usage: usageOf(end.usage) };
      yield { type: "message_stop" };
      return;
    }
    if (event.content !== "") yield* blocks.text(event.content);
    for (const delta of event.toolCalls) yield* blocks.call(delta);
  }
}

/** Blocks one after the other, each begun and ended. */
class Blocks {
  #index = -1;
  #open: "text" | number | undefined;

  *text(text: string): Generator<Fields> {
    if (this.#open !== "text") {
      yield* this.#begin("text", { type: "text", text: "", citations: null });
    }
    yield this.#delta({ type: "text_delta", text });
  }

  *call({ index, id, function: piece }: ToolCallDelta): Generator<Fields> {
    if (this.#open !== index) {
      yield* this.#begin(index, { type: "tool_use", id, name: piece?.name ?? "", input: {} });
    }
    const partial_json = piece?.arguments ?? "";
    if (partial_json !== "") yield this.#delta({ type: "input_json_delta", partial_json });
  }

  *close(): Generator<Fields> {
    if (this.#open !== undefined) yield { type: "content_block_stop", index: this.#index };
    this.#open = undefined;
  }

  *#begin(kind: "text" | number, content_block: Fields): Generator<Fields> {
    yield* this.close();
    this.#open = kind;
    this.#index++;
    yield { type: "content_block_start", index: this.#index, content_block };
  }

  #delta(delta: Fields): Fields {
    return { type: "content_block_delta", index: this.#index, delta };
  }
}
