import { describe, expect, test } from "vitest";
import { CHATML_TEMPLATE } from "../../../src/templates/builtin/chatml.ts";
import type { ChatMessage } from "../../../src/templates/chat-template.ts";
import { createChatTemplate } from "../../../src/templates/jinja-template.ts";
import { plainTemplate, SMOLLM2_TEMPLATE } from "../../../src/templates/plain-template.ts";

const user: ChatMessage = { role: "user", content: "Hello {{ there }}\n" };
const system: ChatMessage = { role: "system", content: "Be brief." };
const assistant: ChatMessage = { role: "assistant", content: " yes<|im_end|> " };
const tool: ChatMessage = { role: "tool", content: "{}", tool_call_id: "1" };
const call = { ...assistant, content: "", tool_calls: [{ id: "1", type: "function" }] };

const CONVERSATIONS: readonly (readonly ChatMessage[])[] = [
  [],
  [user],
  [system, user],
  [user, system],
  [system],
  [user, assistant, user],
  [system, user, call, tool, user],
  [{ role: "", content: "" }],
  [user, { role: "assistant", content: null }],
  [{ role: "user" } as unknown as ChatMessage],
  [{ content: "x" } as unknown as ChatMessage],
];

const OPTIONS = [{}, { add_generation_prompt: false }, { tools: [{ type: "function" }] }];

function outcome(render: () => string): unknown {
  try {
    return render();
  } catch (error) {
    const { code, message, param } = error as { code: string; message: string; param: string };
    return { code, message, param };
  }
}

describe.each([
  ["SmolLM2's", SMOLLM2_TEMPLATE],
  ["ChatML", CHATML_TEMPLATE],
])("%s template", (_, source) => {
  test.each(OPTIONS)("without Jinja says what Jinja says: %o", (options) => {
    const jinja = createChatTemplate(source);
    const plain = plainTemplate(source);
    expect(plain?.source).toBe(source);
    for (const messages of CONVERSATIONS) {
      const said = outcome(() => plain!.render(messages, options));
      expect(said).toEqual(outcome(() => jinja.render(messages, options)));
    }
  });
});

test("any other text is Jinja's", () => {
  expect(plainTemplate(`${SMOLLM2_TEMPLATE} `)).toBeUndefined();
  expect(plainTemplate(null)).toBeUndefined();
  expect(plainTemplate("")).toBeUndefined();
});
