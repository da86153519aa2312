/**
 * Which format a model's chat template writes: found by rendering a short conversation with a call in
 * it. Templates that take no tools, or write what is not known here, get a format of ours.
 */
import type { ChatMessage, ChatTemplate } from "../templates/chat-template.ts";
import type { ToolFormat } from "./format.ts";
import { hermes } from "./hermes.ts";
import { llama } from "./llama.ts";
import { pythonic } from "./pythonic.ts";

export interface ToolSupport {
  readonly format: ToolFormat;
  /** Whether the template writes definitions, calls and results itself. */
  readonly native: boolean;
  /** Whether it takes a system message. */
  readonly system: boolean;
}

const NAME = "probe_name";
const DESCRIPTION = "probe description";
const RESULT = "probe_result";

const MESSAGES: readonly ChatMessage[] = [
  { role: "user", content: "q" },
  {
    role: "assistant",
    content: "",
    tool_calls: [
      { id: "call00001", type: "function", function: { name: NAME, arguments: { probe_key: 7 } } },
    ],
  },
  { role: "tool", tool_call_id: "call00001", name: NAME, content: RESULT },
];
const parameters = {
  type: "object",
  properties: { probe_key: { type: "integer", description: "d" } },
  required: ["probe_key"],
};
const TOOLS = [
  { type: "function", function: { name: NAME, description: DESCRIPTION, parameters } },
];

const WRITTEN: readonly (readonly [RegExp, ToolFormat])[] = [
  // Some write the arguments first.
  [/<tool_call>\s*\{[^{}]*"arguments": ?\{"probe_key": ?7\}[^{}]*\}\s*<\/tool_call>/, hermes],
  [/\{"name": ?"probe_name", ?"parameters": ?\{"probe_key": ?7\}\}/, llama],
  [/\[probe_name\(probe_key=7\)\]/, pythonic],
];

/** Rendering three times takes a millisecond or more. */
const known = new WeakMap<ChatTemplate, ToolSupport>();

export function detectToolSupport(template: ChatTemplate): ToolSupport {
  let support = known.get(template);
  if (support === undefined) {
    support = detect(template);
    known.set(template, support);
  }
  return support;
}

function detect(template: ChatTemplate): ToolSupport {
  const render = (messages: readonly ChatMessage[], tools?: readonly unknown[]): string => {
    try {
      return template.render(messages, tools === undefined ? {} : { tools });
    } catch {
      return ""; // it refuses such messages
    }
  };
  const written = render(MESSAGES, TOOLS);
  const takesAll = [NAME, DESCRIPTION, RESULT].every((text) => written.includes(text));
  const format = takesAll ? WRITTEN.find(([pattern]) => pattern.test(written))?.[1] : undefined;
  const [question] = MESSAGES as [ChatMessage];
  const system = render([{ role: "system", content: DESCRIPTION }, question]).includes(DESCRIPTION);
  return { format: format ?? hermes, native: format !== undefined, system };
}
