import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { chatRequest } from "../../../src/server/schemas/chat.ts";
import { completionRequest } from "../../../src/server/schemas/completions.ts";
import { validate } from "../../../src/server/validate.ts";
import { CHAT, COMPLETIONS, chat, completion, postJson, question } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const app = createApp({ engine: createToy().engine });

const WRONG_NUMBERS = ["1", true, [1], {}];
/** Field, and values that are refused. Every field that both routes share. */
const SHARED: [string, unknown[]][] = [
  ["temperature", [...WRONG_NUMBERS, -0.1, 2.1]],
  ["top_p", [...WRONG_NUMBERS, -0.1, 1.1]],
  ["top_k", [...WRONG_NUMBERS, -2, 1.5]],
  ["min_p", [...WRONG_NUMBERS, -0.1, 1.1]],
  ["repetition_penalty", [...WRONG_NUMBERS, 0, -1, 101]],
  ["frequency_penalty", [...WRONG_NUMBERS, -2.1, 2.1]],
  ["presence_penalty", [...WRONG_NUMBERS, -2.1, 2.1]],
  ["logit_bias", ["1", 1, true, [1], { x: 1 }, { "-1": 1 }, { 1256: 1 }, { "1.5": 1 }]],
  ["seed", [...WRONG_NUMBERS, 0.5, 2 ** 64]],
  ["stop", [1, true, {}, Array(17).fill("x"), "x".repeat(1025)]],
  ["max_tokens", [...WRONG_NUMBERS, -1, 1.5]],
  ["n", [...WRONG_NUMBERS, 0, 129, 1.5]],
  ["ignore_eos", ["true", 1, [], {}]],
  ["return_token_ids", ["true", 1, [], {}]],
  ["cache_salt", [1, true, [], {}, "", "x".repeat(257)]],
  ["stream", ["true", 1, [], {}]],
  ["stream_options", [true, 1, "usage", []]],
  ["user", [1, true, [], {}]],
  ["safety_identifier", [1, {}]],
  ["prompt_cache_key", [1, {}]],
  ["service_tier", [1, {}]],
  ["reasoning_effort", [1, {}]],
  ["verbosity", [1, {}]],
  ["store", ["true", 1, [], {}]],
  ["metadata", ["x", 1, true, [], Object.fromEntries([...Array(17).keys()].map((k) => [k, "v"]))]],
  ["model", [undefined, null, 1, true, [], {}]],
  ["grammar", ["root ::= x", "root", 1, {}]],
  ["json_schema", [{ not: {} }, 7, "{"]],
  ["guided_json", [{ type: "objekt" }, [], 1]],
  ["guided_regex", ["(", "(?=a)", 1]],
  ["guided_choice", [[], "a", [1]]],
  ["guided_grammar", ["root", 1]],
  ["structured_outputs", [1, { regex: "(" }, { json: { not: {} } }, { choice: [] }]],
  ["typical_p", [...WRONG_NUMBERS, -0.1, 1.1]],
  ["mirostat", [2]],
  [
    "response_format",
    [
      ...[
        { type: "json_schema" },
        { type: "json_schema", json_schema: {} },
        "json",
        {},
        { type: "xml" },
      ],
      { type: "json_schema", json_schema: { name: "a", schema: { maxLenght: 1 } } },
    ],
  ],
];

const tool = (name: string, fields: object = {}) => ({
  type: "function",
  function: { name, ...fields },
});
const call = (given: unknown) => ({
  id: "c",
  type: "function",
  function: { name: "f", arguments: given },
});

const IN_CHAT: [string, unknown[]][] = [
  ["messages", [undefined, null, "Hi", 1, {}, []]],
  ["max_tokens", [0]],
  ["max_completion_tokens", [...WRONG_NUMBERS, 0, -1, 1.5]],
  ["logprobs", ["true", 1, [], {}]],
  ["top_logprobs", [...WRONG_NUMBERS, -1, 21, 1.5, 2]],
  [
    "tools",
    ["f", {}, [{}], [{ type: "custom" }], [{ type: "function" }], Array(129).fill(tool("f"))],
  ],
  ["tools", [[tool("a b")], [tool("")], [tool("f"), tool("f")], [tool("f", { strict: 1 })]]],
  ["tools", [[tool("f", { parameters: { type: "string" } })], [tool("f", { parameters: [] })]]],
  ["tool_choice", ["required", "any", {}, { type: "function" }, tool("f")]],
  ["tool_choice", [{ type: "allowed_tools", allowed_tools: { mode: "none", tools: [tool("f")] } }]],
  ["parallel_tool_calls", ["true", 1, [], {}]],
  ["functions", [[{ name: "f" }]]],
  ["function_call", [{ name: "f" }]],
  ["modalities", [["text", "audio"], "text"]],
  ["audio", [{ voice: "alloy" }]],
];

const IN_COMPLETIONS: [string, unknown[]][] = [
  ["prompt", [undefined, null, 1, true, {}, []]],
  ["logprobs", [...WRONG_NUMBERS, -1, 21, 1.5]],
  ["best_of", [...WRONG_NUMBERS, 0, 21]],
  ["echo", ["true", 1]],
  ["suffix", [1, "end"]],
];

const cases = (table: [string, unknown[]][]) =>
  table.flatMap(([field, values]) =>
    values.map((value) => [field, JSON.stringify(value)?.slice(0, 40), value] as const),
  );

describe("a chat request is refused for its", () => {
  test.each(cases([...SHARED, ...IN_CHAT]))("%s %s", async (field, _, value) => {
    const { status, json } = await postJson(app, CHAT, chat({ [field]: value }));
    expect(status).toBe(400);
    expect(json.error.param.split(/[.[]/)[0]).toBe(field);
    expect(json.error.type).toBe("invalid_request_error");
    expect(json.error.message).toContain(field);
  });
});

describe("a completion is refused for its", () => {
  test.each(cases([...SHARED, ...IN_COMPLETIONS]))("%s %s", async (field, _, value) => {
    const { status, json } = await postJson(app, COMPLETIONS, completion({ [field]: value }));
    expect(status).toBe(400);
    expect(json.error.param.split(/[.[]/)[0]).toBe(field);
  });
});

describe("the field at fault is named to its depth:", () => {
  test.each([
    ["messages[1]", [...question, 1]],
    ["messages[0].role", [{ content: "Hi" }]],
    ["messages[0].role", [{ role: "wizard", content: "Hi" }]],
    ["messages[0].tool_call_id", [{ role: "tool", content: "7" }]],
    ["messages[0].tool_call_id", [{ role: "tool", content: "7", tool_call_id: 7 }]],
    ["messages[0].content", [{ role: "tool", tool_call_id: "c" }]],
    ["messages[0].role", [{ role: "function", name: "f", content: "7" }]],
    ["messages[0].content", [{ role: "user" }]],
    ["messages[0].content", [{ role: "user", content: null }]],
    ["messages[0].content", [{ role: "user", content: 7 }]],
    ["messages[0].content", [{ role: "user", content: [] }]],
    ["messages[0].content[1]", [{ role: "user", content: [{ type: "text", text: "a" }, "b"] }]],
    ["messages[0].content[0].text", [{ role: "user", content: [{ type: "text" }] }]],
    ["messages[0].content[0].type", [{ role: "user", content: [{ type: "smell" }] }]],
    ["messages[0].content[0].type", [{ role: "user", content: [{}] }]],
    ["messages[0].name", [{ role: "user", content: "Hi", name: 7 }]],
    ["messages[0].tool_calls[0].id", [{ role: "assistant", tool_calls: [{}] }]],
    ["messages[0].tool_calls", [{ role: "user", content: "", tool_calls: [call("{}")] }]],
    [
      "messages[0].tool_calls[0].function.arguments",
      [{ role: "assistant", tool_calls: [call("{")] }],
    ],
    [
      "messages[0].tool_calls[0].function.arguments",
      [{ role: "assistant", tool_calls: [call("[]")] }],
    ],
    [
      "messages[0].tool_calls[0].function.arguments",
      [{ role: "assistant", tool_calls: [call({})] }],
    ],
    ["messages[0].function_call", [{ role: "assistant", content: "", function_call: {} }]],
  ])("%s", async (param, messages) => {
    const { status, json } = await postJson(app, CHAT, chat({ messages }));
    expect(status).toBe(400);
    expect(json.error.param).toBe(param);
  });

  test.each([
    ["stop[1]", { stop: ["a", 1] }],
    ["stop[1]", { stop: ["a", "x".repeat(1025)] }],
    ["logit_bias.5", { logit_bias: { 5: 101 } }],
    ["logit_bias.5", { logit_bias: { 5: "1" } }],
    ["stream_options.include_usage", { stream_options: { include_usage: "yes" } }],
    ["metadata.a", { metadata: { a: 1 } }],
    ["top_logprobs", { top_logprobs: 2, logprobs: false }],
  ])("%s", async (param, fields) => {
    const { json } = await postJson(app, CHAT, chat(fields));
    expect(json.error.param).toBe(param);
  });
});

test("messages say what was expected and what was found", () => {
  const message = (fields: Record<string, unknown>): string => {
    try {
      validate(chatRequest, chat(fields));
    } catch (error) {
      return (error as Error).message;
    }
    return "accepted";
  };
  expect(message({ temperature: "hot" })).toBe('temperature: expected a number, got "hot"');
  expect(message({ temperature: 3 })).toBe("temperature: expected at most 2, got 3");
  expect(message({ n: 1.5 })).toBe("n: expected an integer, got 1.5");
  expect(message({ stop: 1 })).toBe("stop: expected a string or a list, got 1");
  expect(message({ model: undefined })).toBe("model: expected a string, got nothing");
  expect(message({ user: ["x".repeat(1e5)] })).toBe("user: expected a string, got a list");
  expect(message({ seed: "x".repeat(1e5) }).length).toBeLessThan(100);
  expect(message({ metadata: { ["k".repeat(1e5)]: "v" } }).length).toBeLessThan(200);
});

test("a key named __proto__ is a key like others", async () => {
  const body = JSON.parse('{"logit_bias":{"__proto__":5},"__proto__":{"model":"x"}}');
  const { status } = await postJson(app, CHAT, { ...chat(), logit_bias: body.logit_bias });
  expect(status).toBeLessThan(500);
  expect(({} as Record<string, unknown>).model).toBeUndefined();
});

describe("a hostile list of half a million wrong elements stops the check at its first:", () => {
  // Each issue that were kept would cost some hundred bytes: they are counted by what building
  // their paths would touch, namely elements after the first wrong one.
  const countingList = (): { list: unknown[]; read: () => number } => {
    let reads = 0;
    const wrong = {
      get type() {
        reads++;
        return "smell";
      },
    };
    return { list: Array(500_000).fill(wrong), read: () => reads };
  };

  test("content parts", () => {
    const { list, read } = countingList();
    const body = chat({ messages: [{ role: "user", content: list }] });
    expect(() => validate(chatRequest, body)).toThrow("messages[0].content[0].type");
    expect(read()).toBeLessThan(10);
  });

  test.each([
    ["messages", chatRequest, chat({ messages: Array(500_000).fill(1) })],
    ["prompt", completionRequest, completion({ prompt: Array(500_000).fill({}) })],
    ["stop", chatRequest, chat({ stop: Array(16).fill(1) })],
  ])("%s", (param, schema, body) => {
    expect(() => validate<unknown>(schema, body)).toThrow(`${param}[0]: expected`);
  });
});
