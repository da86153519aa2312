import { describe, expect, test } from "vitest";
import { CHATML_TEMPLATE } from "../../../src/templates/builtin/chatml.ts";
import { LLAMA3_TEMPLATE } from "../../../src/templates/builtin/llama3.ts";
import { createChatTemplate } from "../../../src/templates/jinja-template.ts";
import { type ToolMessage, toolConversation } from "../../../src/tools/conversation.ts";
import { detectToolSupport } from "../../../src/tools/detect-format.ts";
import { TOOL_TEMPLATES } from "../../support/tool-templates.ts";

const call = (id: string, name: string, given: Record<string, unknown>) => ({
  id,
  type: "function" as const,
  function: { name, arguments: given },
});
const MESSAGES: ToolMessage[] = [
  { role: "user", content: "Weather?" },
  {
    role: "assistant",
    content: "",
    tool_calls: [call("1", "get_weather", { city: "Rome", days: [1, 2] }), call("2", "now", {})],
  },
  { role: "tool", tool_call_id: "1", content: "sunny" },
  { role: "tool", tool_call_id: "2", content: "noon" },
  { role: "user", content: "So?" },
];
const TOOLS = [
  {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
  { name: "now", description: "The time" },
];

const rendered = (source: string, tools = TOOLS): string => {
  const template = createChatTemplate(source);
  const conversation = toolConversation(detectToolSupport(template), MESSAGES, tools);
  return template.render(conversation.messages, {
    ...(conversation.tools && { tools: conversation.tools }),
  });
};

test.each([
  ["llama", TOOL_TEMPLATES.llama, { native: true, system: true }],
  ["pythonic", TOOL_TEMPLATES.pythonic, { native: true, system: true }],
  ["hermes", TOOL_TEMPLATES.hermes, { native: true, system: true }],
  ["hermes", TOOL_TEMPLATES.picky, { native: false, system: false }],
  ["hermes", CHATML_TEMPLATE, { native: false, system: true }],
  ["hermes", LLAMA3_TEMPLATE, { native: false, system: true }],
  ["hermes", "{{ raise_exception('no') }}", { native: false, system: false }],
])("the format %s is found by what a template writes (%#)", (name, source, expected) => {
  const { format, ...support } = detectToolSupport(createChatTemplate(source));
  expect([format.name, support]).toEqual([name, expected]);
});

describe("a conversation is written", () => {
  test("in Llama's way, each call in a message of its own", () => {
    const text = rendered(TOOL_TEMPLATES.llama);
    expect(text).toContain('"name": "get_weather",\n        "description": ""');
    expect(text).toContain(
      '{"name": "get_weather", "parameters": {"city": "Rome", "days": [1, 2]}}<|eot_id|>' +
        "<|start_header_id|>assistant<|end_header_id|>\n\n" +
        '{"name": "now", "parameters": {}}<|eot_id|>' +
        "<|start_header_id|>ipython<|end_header_id|>\n\n" +
        '{"output": "sunny"}<|eot_id|>',
    );
  });

  test("in Python's way", () => {
    expect(rendered(TOOL_TEMPLATES.pythonic)).toContain(
      "[get_weather(city=Rome, days=[1, 2]), now()]<|eot_id|>",
    );
  });

  test("in Hermes' way, results with the name of their function", () => {
    const text = rendered(TOOL_TEMPLATES.hermes);
    expect(text).toContain("get_weather(city: str)");
    expect(text).toContain(
      '<tool_call>\n{"arguments": {"city": "Rome", "days": [1, 2]}, "name": "get_weather"}\n</tool_call>\n' +
        '<tool_call>\n{"arguments": {}, "name": "now"}\n</tool_call><|eot_id|>',
    );
    expect(text).toContain('<tool_response>\n{"name": "now", "content": "noon"}');
  });

  test("as texts where the template has no tools", () => {
    const text = rendered(CHATML_TEMPLATE);
    expect(text).toMatch(/^<\|im_start\|>system\n# Tools\n.*"name":"get_weather".*<\|im_end\|>\n/s);
    expect(text).toContain(
      "<|im_start|>assistant\n<tool_call>\n" +
        '{"name": "get_weather", "arguments": {"city":"Rome","days":[1,2]}}\n</tool_call>\n' +
        '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call><|im_end|>\n' +
        "<|im_start|>user\n<tool_response>\nsunny\n</tool_response>\n" +
        "<tool_response>\nnoon\n</tool_response>\nSo?<|im_end|>\n",
    );
  });

  test("in turns that alternate, without a system message where there may be none", () => {
    const text = rendered(TOOL_TEMPLATES.picky);
    expect(text).toMatch(/<\|start_header_id\|>user<\|end_header_id\|>\n\n# Tools.*\n\nWeather\?/s);
  });

  test("behind the system message that is there", () => {
    const template = createChatTemplate(CHATML_TEMPLATE);
    const messages = [{ role: "system", content: "Be terse." }, ...MESSAGES];
    const conversation = toolConversation(detectToolSupport(template), messages, TOOLS);
    expect(conversation.messages[0]).toMatchObject({
      role: "system",
      content: expect.stringMatching(/^Be terse\.\n\n# Tools/),
    });
    expect(conversation.messages[1]).toMatchObject({ role: "user", content: "Weather?" });
  });

  test("with its calls where nothing can be called any more", () => {
    expect(rendered(CHATML_TEMPLATE, [])).toMatch(/^<\|im_start\|>user\nWeather\?/);
    expect(rendered(TOOL_TEMPLATES.llama, [])).toContain('{"name": "now", "parameters": {}}');
  });
});
