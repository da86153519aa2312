/**
 * A response in the making: takes what a chat brings and gives the events of a response stream.
 * The object that all events are about is the answer of a request without a stream. Events show it as it is
 * when they are taken: they are written out before the next one is asked for.
 */

import type { ChatEvent, TokenEntry, ToolCallDelta } from "../chat-run.ts";
import { toErrorReply } from "../errors.ts";
import type { WireTimings } from "../usage.ts";
import {
  type FunctionCallItem,
  itemId,
  type MessageItem,
  type OutputItem,
  type OutputTextPart,
  outputText,
} from "./items.ts";
import { type ResponseObject, responseUsage } from "./response-object.ts";

export interface ResponseEvent {
  readonly type: string;
  /** From 0 on. */
  readonly sequence_number: number;
  readonly [key: string]: unknown;
}

type Events = Generator<ResponseEvent, void, undefined>;

export class ResponseWriter {
  readonly response: ResponseObject;
  /** Of the items' ids. */
  readonly #key: string;
  #sequence = 0;
  #hasBegun = false;
  /** The item that is being written: always the last one. */
  #open: OutputItem | undefined;
  /** Which of the model's calls it is. */
  #callIndex = -1;
  #finishReason: string | null = null;
  timings: WireTimings | undefined;

  /** @param response as beginResponse gives it; it changes with every event. */
  constructor(response: ResponseObject, key: string) {
    this.response = response;
    this.#key = key;
  }

  /** The events of one part. */
  *push(part: ChatEvent): Events {
    yield* this.#begin();
    if ("end" in part) {
      const { usage, timings, finish_reason } = part.end;
      this.response.usage = responseUsage(usage);
      this.timings = timings;
      this.#finishReason = finish_reason;
      return;
    }
    const { content, logprobs, toolCalls } = part;
    if (content !== "" || logprobs.length > 0) yield* this.#text(content, logprobs);
    for (const call of toolCalls) yield* this.#call(call);
  }

  /** After the last part, but for the last event. @param completedAt Unix seconds. */
  *close(completedAt: number): Events {
    yield* this.#begin();
    // Nothing came: an answer is a message, be it an empty one.
    if (this.response.output.length === 0) yield* this.#openMessage();
    const isCut = this.#finishReason === "length";
    yield* this.#closeItem(isCut ? "incomplete" : "completed");
    this.response.status = isCut ? "incomplete" : "completed";
    if (isCut) this.response.incomplete_details = { reason: "max_output_tokens" };
    else this.response.completed_at = completedAt;
  }

  /** The last event. */
  *end(): Events {
    yield this.#event(`response.${this.response.status}`, { response: this.response });
  }

  /** Instead of what would have come. */
  *fail(error: unknown): Events {
    yield* this.#begin();
    const { status, body } = toErrorReply(error);
    const { message, code, param } = body.error;
    yield this.#event("error", { code, message, param });
    if (this.#open !== undefined) this.#open.status = "incomplete";
    this.response.status = "failed";
    this.response.error = { code: codeOf(status), message };
    yield* this.end();
  }

  *#begin(): Events {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    yield this.#event("response.created", { response: this.response });
    yield this.#event("response.in_progress", { response: this.response });
  }

  *#text(delta: string, logprobs: readonly TokenEntry[]): Events {
    const item = this.#open?.type === "message" ? this.#open : yield* this.#openMessage();
    const part = partOf(item);
    part.text += delta;
    part.logprobs.push(...logprobs);
    yield this.#event("response.output_text.delta", { ...this.#place(item), delta, logprobs });
  }

  *#call({ index, id, function: { name, arguments: more } = {} }: ToolCallDelta): Events {
    if (index !== this.#callIndex || this.#open?.type !== "function_call") {
      const item: FunctionCallItem = {
        type: "function_call",
        id: itemId("function_call", this.#key, this.response.output.length),
        status: "in_progress",
        call_id: id ?? "",
        name: name ?? "",
        arguments: "",
      };
      yield* this.#openItem(item);
      this.#callIndex = index;
    }
    if (!more) return;
    const item = this.#open as FunctionCallItem;
    item.arguments += more;
    const { item_id, output_index } = this.#place(item);
    yield this.#event("response.function_call_arguments.delta", {
      item_id,
      output_index,
      delta: more,
    });
  }

  *#openMessage(): Generator<ResponseEvent, MessageItem, undefined> {
    const item: MessageItem = {
      type: "message",
      id: itemId("message", this.#key, this.response.output.length),
      status: "in_progress",
      role: "assistant",
      content: [],
    };
    yield* this.#openItem(item);
    const part = outputText("");
    yield this.#event("response.content_part.added", { ...this.#place(item), part });
    item.content.push(part);
    return item;
  }

  *#openItem(item: OutputItem): Events {
    yield* this.#closeItem("completed");
    this.response.output.push(item);
    this.#open = item;
    const output_index = this.response.output.length - 1;
    yield this.#event("response.output_item.added", { output_index, item });
  }

  *#closeItem(status: "completed" | "incomplete"): Events {
    const item = this.#open;
    if (item === undefined) return;
    const place = this.#place(item);
    const { item_id, output_index } = place;
    if (item.type === "message") {
      const part = partOf(item);
      const { text, logprobs } = part;
      yield this.#event("response.output_text.done", { ...place, text, logprobs });
      yield this.#event("response.content_part.done", { ...place, part });
    } else {
      const { name, arguments: whole } = item;
      const body = { item_id, output_index, name, arguments: whole };
      yield this.#event("response.function_call_arguments.done", body);
    }
    item.status = status;
    this.#open = undefined;
    yield this.#event("response.output_item.done", { output_index, item });
  }

  #place(item: OutputItem): { item_id: string; output_index: number; content_index: 0 } {
    const output_index = this.response.output.length - 1;
    return { item_id: item.id, output_index, content_index: 0 };
  }

  #event(type: string, body: Record<string, unknown>): ResponseEvent {
    return { type, sequence_number: this.#sequence++, ...body };
  }
}

/** OpenAI's list of codes is closed. */
function codeOf(status: number): string {
  if (status === 429) return "rate_limit_exceeded";
  return status < 500 ? "invalid_prompt" : "server_error";
}

/** The one part of a message that is written here. */
function partOf({ content: [part] }: MessageItem): OutputTextPart {
  return part as OutputTextPart;
}
