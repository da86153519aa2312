/** A request's messages as templates read them: a string each, four roles, calls with their arguments read. */
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";
import type { MessageCall, ToolMessage } from "../tools/conversation.ts";
import { isRecord } from "../tools/whole-call.ts";
import { RequestError } from "./errors.ts";
import type { ContentPart, RequestMessage } from "./schemas/chat.ts";
import type { RequestToolCall } from "./schemas/tools.ts";

/**
 * Text parts are joined by line breaks, as other servers of template-driven models do. The
 * developer role is the newer name of the system role, and no small model's template knows it.
 *
 * @throws RequestError "unsupported_parameter" for media parts and the older function messages; PronkError
 *   "bad_request" for a message without content, a result without its call's id, arguments that are no object.
 */
export function toChatMessages(messages: readonly RequestMessage[]): ToolMessage[] {
  return messages.map((message, i) => {
    const param = `messages[${i}]`;
    const { role, name, tool_call_id } = message;
    if (role === "function") throw unsupported(`${param}.role`, "role function");
    if (message.function_call != null)
      throw unsupported(`${param}.function_call`, "function calls");
    const calls = message.tool_calls ?? [];
    if (calls.length > 0 && role !== "assistant") {
      throw bad(`${param}.tool_calls`, `calls are the assistant's, got role ${role}`);
    }
    if (role === "tool" && tool_call_id == null) {
      throw bad(`${param}.tool_call_id`, "expected a string, got nothing");
    }
    const isEmpty = calls.length > 0 && message.content == null;
    return {
      role: role === "developer" ? "system" : role,
      content: isEmpty ? "" : contentText(message.content, `${param}.content`),
      ...(name == null ? {} : { name }),
      ...(role === "tool" && tool_call_id != null ? { tool_call_id } : {}),
      ...(calls.length === 0
        ? {}
        : { tool_calls: calls.map((call, j) => toCall(call, `${param}.tool_calls[${j}]`)) }),
    };
  });
}

function toCall({ id, function: called }: RequestToolCall, param: string): MessageCall {
  const field = `${param}.function.arguments`;
  // Some servers write no arguments as no text.
  const text = called.arguments.trim() === "" ? "{}" : called.arguments;
  const given = parseBoundedJson(new TextEncoder().encode(text), (why, cause) =>
    bad(field, why, cause),
  );
  if (!isRecord(given)) throw bad(field, "expected a JSON object");
  return { id, type: "function", function: { name: called.name, arguments: given } };
}

function contentText(content: RequestMessage["content"], param: string): string {
  if (content === null || content === undefined) {
    throw bad(param, "expected a string or a list, got nothing");
  }
  if (typeof content === "string") return content;
  return content.map((part, j) => partText(part, `${param}[${j}]`)).join("\n");
}

function partText(part: ContentPart, param: string): string {
  if (part.type === "text") return part.text;
  if (part.type === "refusal") return part.refusal;
  throw unsupported(param, `content of type ${part.type}`);
}

function bad(param: string, why: string, cause?: unknown): PronkError {
  return new PronkError("bad_request", `${param}: ${why}`, { cause, param });
}

function unsupported(param: string, what: string): RequestError {
  return new RequestError("unsupported_parameter", `${param}: ${what} is not supported`, { param });
}
