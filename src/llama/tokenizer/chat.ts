/** applyChatTemplate: messages, tools and documents to text, and to tokens. */
import { PronkError } from "../../errors.ts";
import { LLAMA2_TEMPLATE } from "../../templates/builtin/llama2.ts";
import type { ChatMessage } from "../../templates/chat-template.ts";
import { createChatTemplate } from "../../templates/jinja-template.ts";
import type { CallOptions } from "./batch-encoding.ts";

export interface ChatTemplateOptions extends CallOptions {
  /** Functions with JSON schemas, as in OpenAI's and Hugging Face's APIs. */
  readonly tools?: readonly Readonly<Record<string, unknown>>[];
  readonly documents?: readonly Readonly<Record<string, unknown>>[];
  /** Jinja, or the name of one of the tokenizer's templates. */
  readonly chat_template?: string;
  /** End with the opening of the assistant's turn. Default false. */
  readonly add_generation_prompt?: boolean;
  /** End inside the last message, so that it is gone on with. Default false. */
  readonly continue_final_message?: boolean;
  /** Give tokens; else text. Default true. */
  readonly tokenize?: boolean;
  /** Give what calling the tokenizer gives, in place of the ids alone. Default false. */
  readonly return_dict?: boolean;
  /** More variables for the template. */
  readonly template_kwargs?: Readonly<Record<string, unknown>>;
  /** The clock behind `strftime_now`; without it the function is undefined. */
  readonly now?: () => Date;
}

/** Of the Llama 2 models, for use_default_system_prompt. Source: meta-llama/llama. */
export const DEFAULT_SYSTEM_PROMPT =
  "You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe. Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased and positive in nature.\n\nIf a question does not make any sense, or is not factually coherent, explain why instead of answering something not correct. If you don't know the answer to a question, please don't share false information.";

export interface ChatTemplateSource {
  readonly template: string | Readonly<Record<string, string>> | null;
  /** Llama 2's own template stands in where there is none. */
  readonly isLlama2: boolean;
  readonly useDefaultSystemPrompt: boolean;
  readonly specialTokens: Readonly<Record<string, string | readonly string[]>>;
}

/**
 * The text of a chat.
 *
 * @throws PronkError "bad_request" when there is no template or it refuses the messages.
 */
export function renderChat(
  source: ChatTemplateSource,
  messages: readonly ChatMessage[],
  options: ChatTemplateOptions,
): string {
  const { add_generation_prompt = false, continue_final_message = false } = options;
  if (continue_final_message && add_generation_prompt) {
    throw badChat("continue_final_message and add_generation_prompt exclude each other");
  }
  for (const tool of options.tools ?? []) {
    if (typeof tool !== "object" || tool === null) {
      throw badChat("tools are objects with a JSON schema; functions cannot be described");
    }
  }
  const template = chooseTemplate(source, options);
  const builtin = template === LLAMA2_TEMPLATE && source.template === null;
  const rendered = createChatTemplate(
    template,
    options.now === undefined ? {} : { now: options.now },
  ).render(builtin && source.useDefaultSystemPrompt ? withSystemPrompt(messages) : messages, {
    ...source.specialTokens,
    add_generation_prompt,
    tools: options.tools ?? undefined,
    documents: options.documents ?? undefined,
    ...options.template_kwargs,
  } as Record<string, unknown>);
  return continue_final_message ? untilFinalMessage(rendered, messages) : rendered;
}

/** @throws PronkError "bad_request" where there is none. */
export function chooseTemplate(
  source: Pick<ChatTemplateSource, "template" | "isLlama2">,
  options: Pick<ChatTemplateOptions, "chat_template" | "tools">,
): string {
  const { template } = source;
  const asked = options.chat_template;
  const named = typeof template === "object" && template !== null ? template : {};
  if (asked !== undefined) return Object.hasOwn(named, asked) ? named[asked]! : asked;
  if (typeof template === "string") return template;
  if (options.tools !== undefined && named.tool_use !== undefined) return named.tool_use;
  if (named.default !== undefined) return named.default;
  if (template === null && source.isLlama2) return LLAMA2_TEMPLATE;
  throw badChat("the tokenizer has no chat template; pass chat_template");
}

/** Unless the messages have a system prompt of their own. */
function withSystemPrompt(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const [first] = messages;
  if (first === undefined || first.role === "system") return messages;
  if (String(first.content).includes("<<SYS>>")) return messages;
  return [{ role: "system", content: DEFAULT_SYSTEM_PROMPT }, ...messages];
}

function untilFinalMessage(rendered: string, messages: readonly ChatMessage[]): string {
  const content: unknown = messages.at(-1)?.content;
  const final = Array.isArray(content)
    ? ((content as { type?: string; text?: string }[]).findLast(({ type }) => type === "text")
        ?.text ?? "")
    : content;
  if (typeof final !== "string" || final.trim() === "" || !rendered.includes(final.trim())) {
    throw badChat("continue_final_message: the last message is not in what the template makes");
  }
  const at = rendered.lastIndexOf(final.trim());
  const exact = final.trimStart();
  const kept = rendered.startsWith(exact, at) ? exact : final.trim();
  return rendered.slice(0, at + kept.length);
}

function badChat(why: string): PronkError {
  return new PronkError("bad_request", `chat template: ${why}`, { param: "messages" });
}
