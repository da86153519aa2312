/**
 * Conversations with definitions, calls and results as a template takes them: its own way where it has
 * one, else as texts. The fallback's words are those of the Hermes format, which many small models saw.
 */
import type { ChatMessage } from "../templates/chat-template.ts";
import type { ToolSupport } from "./detect-format.ts";
import type { Tool } from "./tool.ts";

/** A call in a message, as templates read it. */
export interface MessageCall {
  readonly id: string;
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly arguments: Readonly<Record<string, unknown>>;
  };
}

/** With `tool_calls` of role assistant, with `tool_call_id` of role tool. */
export interface ToolMessage extends ChatMessage {
  readonly content: string;
  readonly tool_calls?: readonly MessageCall[];
  readonly tool_call_id?: string;
}

export interface Conversation {
  readonly messages: readonly ChatMessage[];
  /** For the template; undefined where it gets none. */
  readonly tools: readonly unknown[] | undefined;
}

/** @param tools what the model is told of; may be empty. */
export function toolConversation(
  support: ToolSupport,
  messages: readonly ToolMessage[],
  tools: readonly Tool[],
): Conversation {
  const named = messages.map((message, i) => withName(message, messages.slice(0, i)));
  const definitions = tools.length === 0 ? undefined : tools.map(definition);
  if (!support.native) {
    return { messages: asTexts(named, definitions, support.system), tools: undefined };
  }
  const { manyInMessage } = support.format;
  return { messages: manyInMessage ? named : named.flatMap(oneCallEach), tools: definitions };
}

/** As OpenAI has it, with what some templates read whether it is there or not. */
function definition({ name, description, parameters }: Tool): unknown {
  return {
    type: "function",
    function: {
      name,
      description: description ?? "",
      parameters: parameters ?? { type: "object", properties: {} },
    },
  };
}

/** Results say whose they are: some templates write the function's name. */
function withName(message: ToolMessage, before: readonly ToolMessage[]): ToolMessage {
  const { role, tool_call_id, name } = message;
  if (role !== "tool" || name !== undefined) return message;
  for (const { tool_calls = [] } of before.toReversed()) {
    const call = tool_calls.find(({ id }) => id === tool_call_id);
    if (call !== undefined) return { ...message, name: call.function.name };
  }
  return message;
}

function oneCallEach(message: ToolMessage): ToolMessage[] {
  const { tool_calls = [] } = message;
  if (tool_calls.length < 2) return [message];
  return tool_calls.map((call, i) => ({
    ...message,
    content: i === 0 ? message.content : "",
    tool_calls: [call],
  }));
}

function asTexts(
  messages: readonly ToolMessage[],
  definitions: readonly unknown[] | undefined,
  takesSystem: boolean,
): ChatMessage[] {
  const plain: ChatMessage[] = [];
  let wasResult = false;
  for (const { tool_calls = [], tool_call_id: _, ...message } of messages) {
    const isResult = message.role === "tool";
    const last = plain.at(-1);
    if (isResult) {
      const { name: _name, ...rest } = message;
      const content = `<tool_response>\n${message.content}\n</tool_response>`;
      plain.push({ ...rest, role: "user", content });
    } else {
      const calls = tool_calls.map(callText);
      const texts = message.content === "" && calls.length > 0 ? [] : [message.content];
      plain.push({ ...message, content: [...texts, ...calls].join("\n") });
    }
    // Templates want turns that alternate: results and the question behind them are one.
    const next = plain.at(-1)!;
    if (wasResult && next.role === "user" && last !== undefined) {
      plain.splice(-2, 2, { ...last, content: `${last.content}\n${next.content}` });
    }
    wasResult = isResult;
  }
  return definitions === undefined ? plain : withInstructions(plain, definitions, takesSystem);
}

function callText({ function: { name, arguments: given } }: MessageCall): string {
  const json = `{"name": ${JSON.stringify(name)}, "arguments": ${JSON.stringify(given)}}`;
  return `<tool_call>\n${json}\n</tool_call>`;
}

function withInstructions(
  messages: readonly ChatMessage[],
  definitions: readonly unknown[],
  takesSystem: boolean,
): ChatMessage[] {
  const text = instructions(definitions);
  const [first, ...rest] = messages;
  const isTarget = first?.role === (takesSystem ? "system" : "user");
  if (first === undefined || !isTarget) {
    return [{ role: takesSystem ? "system" : "user", content: text }, ...messages];
  }
  const parts = takesSystem ? [first.content, text] : [text, first.content];
  return [{ ...first, content: parts.filter((part) => part !== "").join("\n\n") }, ...rest];
}

function instructions(definitions: readonly unknown[]): string {
  return [
    "# Tools",
    "",
    "You may call one or more functions to assist with the user query.",
    "",
    "You are provided with function signatures within <tools></tools> XML tags:",
    "<tools>",
    ...definitions.map((one) => JSON.stringify(one)),
    "</tools>",
    "",
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:",
    "<tool_call>",
    '{"name": <function-name>, "arguments": <args-json-object>}',
    "</tool_call>",
  ].join("\n");
}
