/**
 * A request to /v1/responses as the body of a chat request: what is constrained, called or counted there is
 * here, too. What chat finds wrong with it is told by this route's names.
 */
import { PronkError } from "../../errors.ts";
import { RequestError } from "../errors.ts";
import type {
  PromptFields,
  ResponseRequest,
  ResponseTool,
  ResponseToolChoice,
  TextFormat,
} from "../schemas/responses.ts";
import { unsupported } from "./items.ts";
import type { Turn } from "./messages.ts";

type ChatBody = Record<string, unknown>;

/** @throws RequestError "unsupported_parameter" for tools that are no functions. */
export function promptBody(fields: PromptFields, turns: readonly Turn[]): ChatBody {
  const { instructions, text, tools, tool_choice, parallel_tool_calls } = fields;
  const system = instructions == null ? [] : [{ role: "system", content: instructions }];
  return {
    messages: [...system, ...turns.map(({ message }) => message)],
    response_format: responseFormat(text?.format ?? undefined),
    ...(tools == null ? {} : { tools: tools.map((tool, i) => nested(tool, `tools[${i}]`)) }),
    tool_choice: toolChoice(tool_choice),
    parallel_tool_calls,
  };
}

export function chatBody(request: ResponseRequest, turns: readonly Turn[]): ChatBody {
  const { input, text, truncation, include, max_output_tokens, ...shared } = request;
  return {
    ...shared,
    ...promptBody(request, turns),
    max_completion_tokens: max_output_tokens,
    ...logprobsOf(request),
  };
}

/** Asked for by `include`, or by a number of alternatives. */
function logprobsOf({ include, top_logprobs }: ResponseRequest): ChatBody {
  if (!include?.includes("message.output_text.logprobs") && !top_logprobs) return {};
  return { logprobs: true, top_logprobs };
}

function responseFormat(format: TextFormat | undefined): unknown {
  if (format?.type !== "json_schema") return format;
  const { type, ...json_schema } = format;
  return { type, json_schema };
}

function nested({ type, ...definition }: ResponseTool, param: string): unknown {
  if (type !== "function") throw unsupported(param, `a tool of type ${shown(type)}`);
  return { type, function: definition };
}

function toolChoice(choice: PromptFields["tool_choice"]): unknown {
  if (choice === null || typeof choice !== "object") return choice;
  const { type, name, mode, tools } = choice;
  const param = "tool_choice";
  if (type === "function") return { type, function: { name } };
  if (type !== "allowed_tools") throw unsupported(param, `a choice of type ${shown(type)}`);
  const named = (tools ?? []).map((tool, i) => nested(tool, `${param}.tools[${i}]`));
  return { type, allowed_tools: { mode, tools: named } };
}

/** Characters of a client's own words that an error repeats. */
const MAX_SHOWN = 40;

function shown(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

/** Chat's names for what is spelled otherwise here. */
const RENAMED: readonly (readonly [RegExp, string])[] = [
  [/^messages$/, "input"],
  [/^max_completion_tokens\b/, "max_output_tokens"],
  [/^response_format\.json_schema\b/, "text.format"],
  [/^response_format\b/, "text.format"],
  [/^(tools\[\d+\])\.function\b/, "$1"],
  [/^tool_choice\.function\b/, "tool_choice"],
  [/^(tool_choice)\.allowed_tools(\.tools\[\d+\])\.function\b/, "$1$2"],
  [/^tool_choice\.allowed_tools\b/, "tool_choice"],
];

/** @param places where the request has each item: `input[2]`; undefined for those of earlier responses. */
export function inOurNames(
  error: unknown,
  hasInstructions: boolean,
  turns: readonly Turn[],
  places: readonly (string | undefined)[],
): unknown {
  if (!(error instanceof PronkError) || error.param === undefined) return error;
  const { param: theirs, code, retryAfterMs } = error;
  const [, index, rest = ""] = /^messages\[(\d+)\](.*)$/s.exec(theirs) ?? [];
  const param =
    index === undefined
      ? RENAMED.reduce((name, [pattern, ours]) => name.replace(pattern, ours), theirs)
      : placeOf(turns[Number(index) - (hasInstructions ? 1 : 0)], rest, places);
  const { message: text } = error;
  const message = text.startsWith(theirs) ? `${param}${text.slice(theirs.length)}` : text;
  const options = { param, cause: error };
  if (error instanceof RequestError) return new RequestError(error.reply, message, options);
  return new PronkError(code, message, {
    ...options,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** @param turn undefined: that of the instructions. @param rest the path in its message. */
function placeOf(
  turn: Turn | undefined,
  rest: string,
  places: readonly (string | undefined)[],
): string {
  if (turn === undefined) return "instructions";
  const [, call, field] = /^\.tool_calls\[(\d+)\](?:\.function)?(.*)$/s.exec(rest) ?? [];
  const place = places[call === undefined ? turn.from : (turn.calls[Number(call)] ?? turn.from)];
  return place === undefined ? "previous_response_id" : `${place}${field ?? rest}`;
}

/** As the response repeats it, with every key. */
export function echoedTools(tools: PromptFields["tools"]): unknown[] {
  return (tools ?? []).map(({ type, name, description, parameters, strict }) => ({
    type,
    name: name ?? null,
    description: description ?? null,
    parameters: parameters ?? null,
    strict: strict ?? null,
  }));
}

/** As the response repeats it, with every key. */
export function echoedFormat(format: TextFormat | undefined): unknown {
  if (format?.type !== "json_schema") return format ?? { type: "text" };
  const { type, name, description, schema, strict } = format;
  return {
    type,
    name: name ?? null,
    description: description ?? null,
    schema,
    strict: strict ?? null,
  };
}

/** As the response repeats it. */
export function echoedToolChoice(
  choice: PromptFields["tool_choice"],
): string | Partial<ResponseToolChoice> {
  if (choice === null || typeof choice !== "object") return choice ?? "auto";
  const { type, name, mode, tools } = choice;
  return type === "function" ? { type, name } : { type, mode, tools };
}
