/** Chat templates as transformers renders them; the ids of the prompts are in the other files. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { ChatMessage, ChatTemplate } from "../../src/templates/chat-template.ts";
import { BUILTIN_TEMPLATES } from "../../src/templates/choose-template.ts";
import { createChatTemplate } from "../../src/templates/jinja-template.ts";

interface GoldenChat {
  readonly messages: ChatMessage[];
  readonly add_generation_prompt: boolean;
  readonly text: string | null;
  readonly error: string | null;
}

// biome-ignore lint/suspicious/noExplicitAny: the shape of each file is in its case below
const read = (name: string): any =>
  JSON.parse(readFileSync(`tests/goldens/tokenizers/${name}.json`, "utf8"));
const smollm2 = read("smollm2");
const llama2 = read("llama2");
const llama3 = read("llama3");

const LLAMA2_TOKENS = { bos_token: "<s>", eos_token: "</s>" };
const LLAMA3_TOKENS = { bos_token: "<|begin_of_text|>", eos_token: "<|eot_id|>" };

describe.each<[string, ChatTemplate, GoldenChat[]]>([
  ["SmolLM2", createChatTemplate(smollm2.chat_template), smollm2.chats],
  ["Llama 2", createChatTemplate(llama2.chat_template, LLAMA2_TOKENS), llama2.chats],
  ["Llama 2, built in", createChatTemplate(BUILTIN_TEMPLATES.llama2, LLAMA2_TOKENS), llama2.chats],
  ["Llama 3", createChatTemplate(llama3.chat_templates.fairseq2, LLAMA3_TOKENS), llama3.fairseq2],
  [
    "Llama 3, built in",
    createChatTemplate(BUILTIN_TEMPLATES.llama3, LLAMA3_TOKENS),
    llama3.fairseq2,
  ],
  [
    "Llama 3, without the choice of a generation prompt",
    createChatTemplate(llama3.chat_templates.llama3_simple, LLAMA3_TOKENS),
    llama3.llama3_simple,
  ],
])("%s", (_, template, chats) => {
  test.each(chats.map((chat, i) => [i, chat] as const))("chat %d", (_, chat) => {
    const { messages, add_generation_prompt, text, error } = chat;
    const render = (): string => template.render(messages, { add_generation_prompt });
    if (error === null) {
      expect(render()).toBe(text);
    } else {
      const message = error.replace(/^TemplateError: /, "");
      expect(render).toThrow(expect.objectContaining({ code: "bad_request", message }));
    }
  });
});

test("the chats of SmolLM2's reference run", () => {
  const template = createChatTemplate(smollm2.chat_template);
  expect(smollm2.rendered).toHaveLength(5);
  for (const { messages, rendered, rendered_no_gen_prompt } of smollm2.rendered) {
    expect(template.render(messages)).toBe(rendered);
    expect(template.render(messages, { add_generation_prompt: false })).toBe(
      rendered_no_gen_prompt,
    );
  }
});
