/** The AI SDK's prompt as the messages of a chat request. */
import type {
  LanguageModelV3Message,
  LanguageModelV3Prompt,
  SharedV3Warning,
} from "@ai-sdk/provider";
import { PronkError } from "../errors.ts";

/** A message of /v1/chat/completions. */
export type WireMessage = Readonly<Record<string, unknown>>;

/**
 * @param warnings what is left out is added to it.
 * @throws PronkError "unsupported" for files: leaving them out would change the question.
 */
export function toMessages(
  prompt: LanguageModelV3Prompt,
  warnings: SharedV3Warning[],
): WireMessage[] {
  return prompt.flatMap((message, i) => messagesOf(message, `prompt[${i}]`, warnings));
}

function messagesOf(
  message: LanguageModelV3Message,
  at: string,
  warnings: SharedV3Warning[],
): WireMessage[] {
  switch (message.role) {
    case "system":
      return [{ role: "system", content: message.content }];
    case "user": {
      const content = message.content.map((part, j) => {
        if (part.type === "text") return { type: "text", text: part.text };
        throw unsupported(`${at}.content[${j}]`, `a file of ${part.mediaType}`);
      });
      return [{ role: "user", content: content.length === 0 ? "" : content }];
    }
    case "assistant":
      return [assistantMessage(message, at, warnings)];
    case "tool":
      return message.content.flatMap((part, j) =>
        // Approvals are the AI SDK's own affair: what came of them is in the results.
        part.type === "tool-result" ? [toolMessage(part, `${at}.content[${j}]`)] : [],
      );
  }
}

type PartsOf<Role extends LanguageModelV3Message["role"]> = Extract<
  LanguageModelV3Message,
  { role: Role }
>["content"];

function assistantMessage(
  { content }: { readonly content: PartsOf<"assistant"> },
  at: string,
  warnings: SharedV3Warning[],
): WireMessage {
  let text = "";
  const tool_calls: WireMessage[] = [];
  content.forEach((part, j) => {
    switch (part.type) {
      case "text":
        text += part.text;
        break;
      case "tool-call":
        tool_calls.push({
          id: part.toolCallId,
          type: "function",
          function: { name: part.toolName, arguments: JSON.stringify(part.input) },
        });
        break;
      case "reasoning":
        warnings.push({ type: "unsupported", feature: "reasoning parts of earlier answers" });
        break;
      default:
        throw unsupported(`${at}.content[${j}]`, `a part of type ${part.type}`);
    }
  });
  if (tool_calls.length === 0) return { role: "assistant", content: text };
  return { role: "assistant", content: text === "" ? null : text, tool_calls };
}

type ToolResult = Extract<PartsOf<"tool">[number], { type: "tool-result" }>;

function toolMessage({ toolCallId, toolName, output }: ToolResult, at: string): WireMessage {
  return {
    role: "tool",
    tool_call_id: toolCallId,
    name: toolName,
    content: outputText(output, at),
  };
}

function outputText(output: ToolResult["output"], at: string): string {
  switch (output.type) {
    case "text":
    case "error-text":
      return output.value;
    case "json":
    case "error-json":
      return JSON.stringify(output.value);
    case "execution-denied":
      return output.reason ?? "Tool execution denied.";
    case "content":
      return output.value
        .map((part, k) => {
          if (part.type === "text") return part.text;
          throw unsupported(`${at}.output.value[${k}]`, `a part of type ${part.type}`);
        })
        .join("\n");
  }
}

function unsupported(at: string, what: string): PronkError {
  return new PronkError("unsupported", `${at}: ${what} is not supported`, { param: at });
}
