/** Which template a model's chats take: its own, or by what its vocabulary shows it was trained on. */
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { CHATML_TEMPLATE } from "./builtin/chatml.ts";
import { LLAMA2_TEMPLATE } from "./builtin/llama2.ts";
import { LLAMA3_TEMPLATE } from "./builtin/llama3.ts";
import type { ChatTemplate } from "./chat-template.ts";
import { createChatTemplate } from "./jinja-template.ts";

export type BuiltinTemplate = "llama2" | "llama3" | "chatml";

/** Jinja sources by name. */
export const BUILTIN_TEMPLATES: Readonly<Record<BuiltinTemplate, string>> = {
  llama2: LLAMA2_TEMPLATE,
  llama3: LLAMA3_TEMPLATE,
  chatml: CHATML_TEMPLATE,
};

/** Special tokens that only models of this format have, the most telling first. */
const MARKS: readonly (readonly [BuiltinTemplate, readonly string[]])[] = [
  ["chatml", ["<|im_start|>", "<|im_end|>"]],
  ["llama3", ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]],
  ["llama2", ["<s>", "</s>"]],
];

/** The built-in template whose special tokens this vocabulary has. */
export function detectTemplate(tokenizer: Tokenizer): BuiltinTemplate | undefined {
  const isMark = (text: string): boolean => {
    const id = tokenizer.tokenId(text);
    return id !== undefined && tokenizer.isSpecial(id);
  };
  return MARKS.find(([, texts]) => texts.every(isMark))?.[0];
}

/**
 * The template of a model: `source` when its file has one, else a built-in one by its vocabulary,
 * else undefined. A source that is not Jinja fails in render(), so that such a model still
 * completes text.
 */
export function createTemplateFor(
  source: string | null | undefined,
  tokenizer: Tokenizer,
  options: { readonly now?: () => Date } = {},
): ChatTemplate | undefined {
  const builtin = source ? undefined : detectTemplate(tokenizer);
  const chosen = source || (builtin && BUILTIN_TEMPLATES[builtin]);
  if (!chosen) return undefined;
  const textOf = (id: number | undefined): string | undefined =>
    id === undefined ? undefined : tokenizer.tokenText(id);
  try {
    return createChatTemplate(chosen, {
      bos_token: textOf(tokenizer.bosId),
      eos_token: textOf(tokenizer.eosId),
      unk_token: textOf(tokenizer.unkId),
      pad_token: textOf(tokenizer.padId),
      ...options,
    });
  } catch (error) {
    return {
      source: chosen,
      render: () => {
        throw error;
      },
    };
  }
}
