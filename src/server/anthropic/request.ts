/** Anthropic's requests as bodies of chat requests. */
import { PronkError } from "../../errors.ts";
import { RequestError } from "../errors.ts";
import type {
  AnthropicMessage,
  AnthropicTool,
  ContentBlock,
  CountRequest,
  MessagesRequest,
  ToolChoice,
} from "./schemas.ts";

type Body = Readonly<Record<string, unknown>>;

/** Their names by ours, for errors. */
export const ANTHROPIC_NAMES: Readonly<Record<string, string>> = {
  stop: "stop_sequences",
  max_completion_tokens: "max_tokens",
  "response_format.json_schema.schema": "output_config.format.schema",
  response_format: "output_config.format.schema",
};

/** @throws RequestError "unsupported_parameter", PronkError "bad_request": by the field's name. */
export function messagesBody(request: MessagesRequest): Body {
  const { max_tokens, stop_sequences, temperature, top_p, top_k } = request;
  return {
    ...countBody(request),
    ...withoutNull({
      max_completion_tokens: max_tokens,
      stop: stop_sequences,
      temperature,
      top_p,
      top_k,
    }),
  };
}

/** What becomes the prompt. @throws as messagesBody. */
export function countBody(request: CountRequest): Body {
  const { model, messages, system, tools, tool_choice, thinking, output_config } = request;
  if (thinking != null && thinking.type !== "disabled") {
    throw unsupported("thinking", "thinking before the answer");
  }
  if (messages.at(-1)?.role === "assistant") {
    const param = `messages[${messages.length - 1}].role`;
    throw unsupported(param, "an answer that is begun already");
  }
  const first = systemText(system);
  const format = output_config?.format;
  return {
    model,
    messages: [
      ...(first === "" ? [] : [{ role: "system", content: first }]),
      ...messages.flatMap((message, i) => messagesOf(message, `messages[${i}]`)),
    ],
    ...(tools?.length ? { tools: tools.map((tool, i) => toolOf(tool, `tools[${i}]`)) } : {}),
    ...(tools?.length && tool_choice != null ? choiceOf(tool_choice) : {}),
    ...(format == null
      ? {}
      : {
          response_format: {
            type: "json_schema",
            json_schema: { name: "output", schema: format.schema },
          },
        }),
  };
}

function systemText(system: CountRequest["system"]): string {
  if (system == null) return "";
  return typeof system === "string" ? system : system.map(({ text }) => text).join("\n");
}

function messagesOf({ role, content }: AnthropicMessage, at: string): Body[] {
  if (typeof content === "string") return [{ role, content }];
  const texts: string[] = [];
  const calls: Body[] = [];
  const results: Body[] = [];
  content.forEach((block, j) => {
    const param = `${at}.content[${j}]`;
    const { type } = block;
    if (type === "text") texts.push(needed(block.text, `${param}.text`));
    else if (type === "tool_use" && role === "assistant") calls.push(callOf(block, param));
    else if (type === "tool_result" && role === "user") results.push(resultOf(block, param));
    // What a model thought is not said to it again, there as here.
    else if (!/^(?:redacted_)?thinking$/.test(type)) {
      throw unsupported(param, `content of type ${type} of the ${role}`);
    }
  });
  const text = texts.join("\n");
  if (role === "assistant" && calls.length > 0) {
    return [{ role, content: text === "" ? null : text, tool_calls: calls }];
  }
  const said = texts.length > 0 || results.length === 0 ? [{ role, content: text }] : [];
  return [...results, ...said];
}

function callOf({ id, name, input }: ContentBlock, at: string): Body {
  const called = { name: needed(name, `${at}.name`), arguments: JSON.stringify(input ?? {}) };
  return { id: needed(id, `${at}.id`), type: "function", function: called };
}

function resultOf({ tool_use_id, content, is_error }: ContentBlock, at: string): Body {
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
  const text = parts
    .map((part, k) => {
      const param = `${at}.content[${k}]`;
      if (part.type === "text") return needed(part.text, `${param}.text`);
      throw unsupported(param, `content of type ${part.type} of a result`);
    })
    .join("\n");
  const tool_call_id = needed(tool_use_id, `${at}.tool_use_id`);
  return { role: "tool", tool_call_id, content: is_error ? `Error: ${text}` : text };
}

function needed(text: string | null | undefined, param: string): string {
  if (text !== null && text !== undefined) return text;
  throw new PronkError("bad_request", `${param}: expected a string, got nothing`, { param });
}

function toolOf(
  { type, name, description, input_schema, strict }: AnthropicTool,
  at: string,
): Body {
  if (type != null && type !== "custom") throw unsupported(`${at}.type`, `tools of type ${type}`);
  if (input_schema == null) {
    const param = `${at}.input_schema`;
    throw new PronkError("bad_request", `${param}: expected an object, got nothing`, { param });
  }
  const called = withoutNull({ name, description, parameters: input_schema, strict });
  return { type: "function", function: called };
}

function choiceOf({ type, name, disable_parallel_tool_use }: ToolChoice): Body {
  const parallel = disable_parallel_tool_use === true ? { parallel_tool_calls: false } : {};
  if (type !== "tool") return { tool_choice: type === "any" ? "required" : type, ...parallel };
  const called = { name: needed(name, "tool_choice.name") };
  return { tool_choice: { type: "function", function: called }, ...parallel };
}

function withoutNull(fields: Body): Body {
  return Object.fromEntries(
    Object.entries(fields).filter(([, v]) => v !== undefined && v !== null),
  );
}

function unsupported(param: string, what: string): RequestError {
  return new RequestError("unsupported_parameter", `${param}: ${what} is not supported`, { param });
}
