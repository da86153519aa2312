/** A request's messages as the chat template reads them: one string each, four roles. */
import { PronkError } from "../errors.ts";
import type { ChatMessage } from "../templates/chat-template.ts";
import { RequestError } from "./errors.ts";
import type { ContentPart, RequestMessage } from "./schemas/chat.ts";

/**
 * Text parts are joined by line breaks, as other servers of template-driven models do. The
 * developer role is the newer name of the system role, and no small model's template knows it.
 *
 * @throws RequestError "unsupported_parameter" for media parts and tool messages; PronkError
 *   "bad_request" for a message without content.
 */
export function toChatMessages(messages: readonly RequestMessage[]): ChatMessage[] {
  return messages.map((message, i) => {
    const param = `messages[${i}]`;
    if (message.role === "tool" || message.role === "function") {
      throw unsupported(`${param}.role`, `role ${message.role}`);
    }
    if (message.tool_calls?.length) throw unsupported(`${param}.tool_calls`, "tool calls");
    if (message.function_call != null) throw unsupported(`${param}.function_call`, "tool calls");
    return {
      role: message.role === "developer" ? "system" : message.role,
      content: contentText(message.content, `${param}.content`),
      ...(message.name == null ? {} : { name: message.name }),
    };
  });
}

function contentText(content: RequestMessage["content"], param: string): string {
  if (content === null || content === undefined) {
    throw new PronkError("bad_request", `${param}: expected a string or a list, got nothing`, {
      param,
    });
  }
  if (typeof content === "string") return content;
  return content.map((part, j) => partText(part, `${param}[${j}]`)).join("\n");
}

function partText(part: ContentPart, param: string): string {
  if (part.type === "text") return part.text;
  if (part.type === "refusal") return part.refusal;
  throw unsupported(param, `content of type ${part.type}`);
}

function unsupported(param: string, what: string): RequestError {
  return new RequestError("unsupported_parameter", `${param}: ${what} is not supported`, { param });
}
