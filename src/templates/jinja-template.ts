/**
 * Chat templates in Jinja, as transformers renders them: blocks trimmed, `raise_exception`,
 * `tojson`, `range`, `namespace`, loop controls and `generation` blocks.
 *
 * Source: apply_chat_template() in transformers, utils/chat_template_utils.py.
 */
import { PronkError } from "../errors.ts";
import { BoundedInterpreter, boundedRange } from "./bounded-interpreter.ts";
import type { ChatMessage, ChatTemplate, RenderOptions } from "./chat-template.ts";
import { type JinjaEnvironment, type JinjaNode, jinja } from "./jinja-library.ts";
import { strftime } from "./strftime.ts";

/** The longest known have 20,000. */
export const MAX_TEMPLATE_CHARS = 65_536;

/** The lexer is quadratic in a run of white space: a tenth of a second for a template of such runs. */
const MAX_SPACES = 2_000;

/** Of what a template raises: it may hold whole messages. */
const MAX_REASON_CHARS = 1_000;

/** Control characters, and those that turn the direction of a text: a template's own, in what is told of it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** What templates know of the model, and of the world. */
export interface TemplateContext {
  /** The text of the tokens; a template without them sees an undefined variable. */
  readonly bos_token?: string | undefined;
  readonly eos_token?: string | undefined;
  readonly unk_token?: string | undefined;
  readonly pad_token?: string | undefined;
  /**
   * The clock behind `strftime_now`. Without it the function is undefined, so that templates fall
   * back to a fixed date and render the same every day.
   */
  readonly now?: () => Date;
}

/**
 * Parses a template.
 *
 * @throws PronkError "bad_format" when it is not Jinja or too long.
 */
export function createChatTemplate(source: string, context: TemplateContext = {}): ChatTemplate {
  const program = parseTemplate(source);
  return {
    source,
    render: (messages, options = {}) => render(program, context, messages, options),
  };
}

function parseTemplate(source: string): JinjaNode {
  if (source.length > MAX_TEMPLATE_CHARS) {
    const found = `${source.length} characters, the limit is ${MAX_TEMPLATE_CHARS}`;
    throw new PronkError("bad_format", `chat template: ${found}`);
  }
  if (longestSpace(source) > MAX_SPACES) {
    throw new PronkError("bad_format", `chat template: more than ${MAX_SPACES} spaces in a row`);
  }
  try {
    return jinja.parse(jinja.tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw new PronkError("bad_format", `chat template: ${reasonOf(cause)}`, { cause });
  }
}

function render(
  program: JinjaNode,
  { now, ...tokens }: TemplateContext,
  messages: readonly ChatMessage[],
  options: RenderOptions,
): string {
  const environment = new jinja.Environment();
  try {
    setGlobals(environment, now);
    const variables = {
      ...tokens,
      // None where absent, as transformers passes them; tests like `is not none` rely on it.
      tools: null,
      documents: null,
      add_generation_prompt: true,
      ...options,
      messages,
    };
    for (const [name, value] of Object.entries(variables)) {
      if (value !== undefined) environment.set(name, value);
    }
    return String(new BoundedInterpreter(environment).run(program).value);
  } catch (cause) {
    if (cause instanceof PronkError) throw cause;
    throw new PronkError("bad_request", `chat template: ${reasonOf(cause)}`, {
      cause,
      param: "messages",
    });
  }
}

function setGlobals(environment: JinjaEnvironment, now: (() => Date) | undefined): void {
  for (const [name, value] of [
    ["true", true],
    ["false", false],
    ["none", null],
  ] as const) {
    environment.set(name, value);
    environment.set(name[0]!.toUpperCase() + name.slice(1), value);
  }
  environment.set("range", boundedRange);
  environment.set("raise_exception", (message: unknown) => {
    throw new PronkError("bad_request", cut(String(message)), { param: "messages" });
  });
  if (now !== undefined) {
    environment.set("strftime_now", (format: string) => strftime(now(), String(format)));
  }
}

function reasonOf(cause: unknown): string {
  // The engine's own errors: the stack or a string's length is exhausted.
  if (cause instanceof RangeError) return "nested too deeply or too long";
  const reason = cause instanceof Error ? cause.message : String(cause);
  return cut(reason.replace(UNSEEN, codeOf));
}

/** As JavaScript escapes it. */
function codeOf(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function cut(reason: string): string {
  return reason.length > MAX_REASON_CHARS ? `${reason.slice(0, MAX_REASON_CHARS)}...` : reason;
}

function longestSpace(text: string): number {
  let longest = 0;
  for (const [spaces] of text.matchAll(/\s+/g)) longest = Math.max(longest, spaces.length);
  return longest;
}
