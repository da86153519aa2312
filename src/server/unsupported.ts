/**
 * Fields that change what a model may say and that this server does not honour. They are refused
 * by name instead of ignored, unless their value asks for nothing: an answer that broke a promised
 * schema in silence would be worse than none.
 */
import { RequestError } from "./errors.ts";

type AsksForNothing = (value: unknown) => boolean;

const isEmptyList: AsksForNothing = (value) => Array.isArray(value) && value.length === 0;
const isOneOf =
  (...neutral: unknown[]): AsksForNothing =>
  (value) =>
    neutral.includes(value);
const isTextOnly: AsksForNothing = (value) =>
  Array.isArray(value) && value.every((modality) => modality === "text");

/** Samplers that other servers have as extensions. */
const EXTENSIONS: Readonly<Record<string, AsksForNothing>> = {
  mirostat: isOneOf(0),
};

const CHAT: Readonly<Record<string, AsksForNothing>> = {
  ...EXTENSIONS,
  functions: isEmptyList,
  function_call: isOneOf("none", "auto"),
  modalities: isTextOnly,
  audio: isOneOf(),
  web_search_options: isOneOf(),
};

const COMPLETIONS: Readonly<Record<string, AsksForNothing>> = {
  ...EXTENSIONS,
  suffix: isOneOf(""),
};

const RESPONSES: Readonly<Record<string, AsksForNothing>> = {
  ...EXTENSIONS,
  background: isOneOf(false),
  conversation: isOneOf(),
  prompt: isOneOf(),
  context_management: isEmptyList,
  moderation: isOneOf(),
  resume: isOneOf(false), // these streams are not gone on with
};

/** What took the place of older fields. */
const NEWER: Readonly<Record<string, string>> = {
  functions: "tools",
  function_call: "tool_choice",
};

/** @throws RequestError "unsupported_parameter" for the first such field of a chat request. */
export function refuseUnsupportedInChat(body: Readonly<Record<string, unknown>>): void {
  refuse(body, CHAT);
}

/** @throws RequestError "unsupported_parameter" for the first such field of a completion. */
export function refuseUnsupportedInCompletions(body: Readonly<Record<string, unknown>>): void {
  refuse(body, COMPLETIONS);
}

/** @throws RequestError "unsupported_parameter" for the first such field of a response request. */
export function refuseUnsupportedInResponses(body: Readonly<Record<string, unknown>>): void {
  refuse(body, RESPONSES);
}

function refuse(
  body: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, AsksForNothing>>,
): void {
  for (const [param, asksForNothing] of Object.entries(fields)) {
    const value = body[param];
    if (value === undefined || value === null || asksForNothing(value)) continue;
    const instead = NEWER[param] === undefined ? "" : `; ${NEWER[param]} is`;
    const message = `${param}: not supported by this server${instead}`;
    throw new RequestError("unsupported_parameter", message, { param });
  }
}
