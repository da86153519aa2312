/**
 * Templates whose text is known and says nothing but each message between two marks: rendered here to the same text,
 * where Jinja, an eighth of a page's first load, is to be spared.
 */
import { PronkError } from "../errors.ts";
import { CHATML_TEMPLATE } from "./builtin/chatml.ts";
import type { ChatTemplate } from "./chat-template.ts";

/** As its packs and GGUF files carry it. */
export const SMOLLM2_TEMPLATE: string =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a " +
  "helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + " +
  "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ " +
  "'<|im_start|>assistant\n' }}{% endif %}";

const SMOLLM2_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/** By their text: what the system says where no message does. */
const KNOWN: ReadonlyMap<string, string | undefined> = new Map([
  [SMOLLM2_TEMPLATE, SMOLLM2_SYSTEM],
  [CHATML_TEMPLATE, undefined],
]);

/** undefined: a template for Jinja. Contents and roles are texts, or refused as Jinja refuses them. */
export function plainTemplate(source: string | null | undefined): ChatTemplate | undefined {
  if (source == null || !KNOWN.has(source)) return undefined;
  const system = KNOWN.get(source);
  return {
    source,
    render(messages, { add_generation_prompt = true } = {}) {
      const [first] = messages;
      const isOpened = system !== undefined && first !== undefined && first.role !== "system";
      const opening = isOpened ? turn("system", system) : "";
      const turns = messages.map(({ role, content }) => turn(text(role), text(content)));
      return opening + turns.join("") + (add_generation_prompt ? "<|im_start|>assistant\n" : "");
    },
  };
}

function turn(role: string, content: string): string {
  return `<|im_start|>${role}\n${content}<|im_end|>\n`;
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  const what = value === null ? "on null values" : "+ on undefined values";
  throw new PronkError("bad_request", `chat template: Cannot perform operation ${what}`, {
    param: "messages",
  });
}
