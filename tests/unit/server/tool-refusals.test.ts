import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { CHAT, chat, type Json, postJson } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const CALL = '<tool_call>{"name": "f", "arguments": {"a": ';
/** Begins a call as soon as it may. */
const eager = createApp({ engine: createToy({ ctx: 4096, reply: CALL }).engine });
const app = createApp({ engine: createToy({ ctx: 4096, random: true }).engine });

const tool = (parameters: Json, fields: object = {}) => ({
  type: "function",
  function: { name: "f", parameters, ...fields },
});
const unknown = { type: "object", properties: { a: { type: "string", maxLenght: 3 } } };
const named = { type: "function", function: { name: "f" } };

describe("a schema with a keyword that is not supported", () => {
  test.each([
    ["where the model has to call", { tools: [tool(unknown)], tool_choice: "required" }],
    ["of the function that is named", { tools: [tool(unknown)], tool_choice: named }],
    ["of a strict function", { tools: [tool(unknown, { strict: true })] }],
  ])("is refused by its name %s", async (_, fields) => {
    const { status, json } = await postJson(app, CHAT, chat(fields));
    expect(status).toBe(400);
    expect(json.error).toMatchObject({
      code: "unsupported_schema",
      param: "tools[0].function.parameters",
      message: expect.stringMatching(/^tools\[0\]\.function\.parameters: .*maxLenght/),
    });
  });

  test("is no matter where the function cannot be called", async () => {
    const other = { type: "function", function: { name: "g" } };
    const fields = {
      tools: [tool(unknown), other],
      tool_choice: { ...named, function: { name: "g" } },
    };
    const { status, json } = await postJson(app, CHAT, chat({ ...fields, max_tokens: 100 }));
    expect([status, json.choices[0].message.tool_calls[0].function.name]).toEqual([200, "g"]);
  });

  test("lets arguments be any object with auto", async () => {
    let ended = 0;
    for (let seed = 0; seed < 10; seed++) {
      const fields = { tools: [tool(unknown)], temperature: 1, seed, max_tokens: 200 };
      const { json } = await postJson(eager, CHAT, chat(fields));
      const [{ message, finish_reason }] = json.choices;
      expect(message.tool_calls[0].function.name).toBe("f");
      if (finish_reason !== "tool_calls") continue;
      const given = JSON.parse(message.tool_calls[0].function.arguments);
      expect(given).toBeTypeOf("object");
      ended++;
    }
    expect(ended).toBeGreaterThan(0);
  });
});

test("a schema that no value has is refused where it has to have one", async () => {
  const never = { type: "object", properties: { a: { enum: [] } }, required: ["a"] };
  const { status, json } = await postJson(
    app,
    CHAT,
    chat({ tools: [tool(never)], tool_choice: "required" }),
  );
  expect([status, json.error.param]).toEqual([400, "tools"]);
});

test("an answer of a schema goes with tools: it is either one", async () => {
  const json_schema = {
    name: "a",
    schema: {
      type: "object",
      properties: { b: { const: 1 } },
      required: ["b"],
      additionalProperties: false,
    },
  };
  const fields = {
    tools: [tool({ type: "object", properties: {} })],
    response_format: { type: "json_schema", json_schema },
  };
  const { json } = await postJson(app, CHAT, chat({ ...fields, logit_bias: {}, seed: 1 }));
  const [{ message, finish_reason }] = json.choices;
  if (message.tool_calls) expect(finish_reason).toMatch(/tool_calls|length/);
  else expect(JSON.parse(message.content)).toEqual({ b: 1 });
  const called = await postJson(eager, CHAT, chat(fields));
  expect(called.json.choices[0].message.tool_calls[0].function).toEqual({
    name: "f",
    arguments: "{}",
  });
});

test.each(["grammar", "guided_regex"])("tools and %s are refused together", async (field) => {
  const value = field === "grammar" ? 'root ::= "a"' : "a";
  const body = chat({ tools: [tool({})], [field]: value });
  const { status, json } = await postJson(app, CHAT, body);
  expect([status, json.error.param]).toEqual([400, "tools"]);
  const none = await postJson(app, CHAT, { ...body, tool_choice: "none" });
  expect([none.status, none.json.choices[0].message.content]).toEqual([200, "a"]);
});

test("a stop text ends words, and says of half a call that it is one", async () => {
  const parameters = { type: "object", properties: { a: { const: "one two" } }, required: ["a"] };
  const fields = { tools: [tool(parameters)], stop: "two", max_tokens: 100 };
  const cut = await postJson(eager, CHAT, chat(fields));
  expect(cut.json.choices[0]).toMatchObject({ finish_reason: "length" });
  const whole = await postJson(
    eager,
    CHAT,
    chat({ ...fields, tool_choice: "required", parallel_tool_calls: false }),
  );
  expect(whole.json.choices[0]).toMatchObject({
    message: { tool_calls: [{ function: { arguments: '{"a":"one two"}' } }] },
    finish_reason: "tool_calls",
  });
});

test("calls have ids of their own in every choice", async () => {
  const fields = {
    tools: [tool({})],
    tool_choice: "required",
    n: 3,
    temperature: 1,
    max_tokens: 60,
  };
  const { json } = await postJson(app, CHAT, chat(fields));
  const ids = json.choices.flatMap(({ message }: Json) =>
    message.tool_calls.map((c: Json) => c.id),
  );
  expect(new Set(ids).size).toBe(ids.length);
});

test("log-probabilities and ids go with the chunks of calls", async () => {
  const fields = {
    tools: [tool({ type: "object", properties: {} })],
    tool_choice: "required",
    parallel_tool_calls: false,
    logprobs: true,
    return_token_ids: true,
    max_tokens: 60,
  };
  const { json } = await postJson(app, CHAT, chat(fields));
  const [choice] = json.choices;
  const text = choice.logprobs.content.map(({ token }: Json) => token).join("");
  expect(text).toBe('<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>');
  expect(choice.token_ids.length).toBeGreaterThanOrEqual(choice.logprobs.content.length);
});
