/** Tools of /v1/responses: flat definitions, calls as items, results taken back. */
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { CHAT, chat, events, type Json, post, postJson } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const weather = {
  type: "function",
  name: "get_weather",
  description: "The weather of a city",
  parameters: {
    type: "object",
    properties: { city: { enum: ["Paris", "Rome"] }, days: { type: "integer", maximum: 9 } },
    required: ["city"],
    additionalProperties: false,
  },
  strict: true,
};
const now = { type: "function", name: "now" };
const nested = ({ type, ...definition }: Record<string, unknown>) => ({
  type,
  function: definition,
});
const validate = new Ajv2020().compile(weather.parameters);
const { engine } = createToy({ random: true, ctx: 4096 });
const app = createApp({ engine });
const ask = (fields: Record<string, unknown> = {}) => ({
  model: "toy/llama",
  input: "Weather?",
  tools: [weather, now],
  temperature: 1,
  max_output_tokens: 300,
  ...fields,
});
const respond = async (fields: Record<string, unknown> = {}): Promise<Json> => {
  const { json } = await postJson(app, "/v1/responses", ask(fields));
  expect(json.error).toBe(null);
  return json;
};
const refusal = async (fields: Record<string, unknown>): Promise<Json> =>
  (await postJson(app, "/v1/responses", ask(fields))).json.error;

describe("calls", () => {
  test.each([
    ["required", ["get_weather", "now"]],
    [{ type: "function", name: "get_weather" }, ["get_weather"]],
    [
      { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "now" }] },
      ["now"],
    ],
  ])("of tool_choice %j are items with valid arguments", async (tool_choice, names) => {
    let complete = 0;
    for (let seed = 0; seed < 6; seed++) {
      const response = await respond({ tool_choice, seed });
      expect(response.tool_choice).toEqual(tool_choice);
      const { id, output } = response;
      expect(output.length).toBeGreaterThan(0);
      for (const [i, item] of output.entries()) {
        expect(Object.keys(item).sort()).toEqual([
          "arguments",
          "call_id",
          "id",
          "name",
          "status",
          "type",
        ]);
        expect(item.id).toBe(`${id.replace("resp_", "fc_")}_${i}`);
        expect(item.call_id).toMatch(/^call_\w+$/);
        expect(names).toContain(item.name);
        if (item.status !== "completed") continue;
        complete++;
        const given = JSON.parse(item.arguments);
        if (item.name === "get_weather") expect([given, validate(given)]).toEqual([given, true]);
      }
    }
    expect(complete).toBeGreaterThan(2);
  });

  test("are streamed as events in order, which make up the items", async () => {
    for (let seed = 0; seed < 6; seed++) {
      const body = ask({ stream: true, tool_choice: "required", seed });
      const all = await events(await post(app, "/v1/responses", body));
      expect(all.pop()).toBe("data: [DONE]");
      const list: Json[] = all.map((event) =>
        JSON.parse(event.slice(event.indexOf("\ndata: ") + 7)),
      );
      expect(list.map((event) => event.sequence_number)).toEqual([...list.keys()]);
      const { response } = list.at(-1);
      expect(list.at(-1).type).toBe(`response.${response.status}`);
      expect(response.output.length).toBeGreaterThan(0);
      for (const [output_index, item] of response.output.entries()) {
        const own = list.filter((event) => event.output_index === output_index);
        const first = own.shift();
        expect(first).toMatchObject({
          type: "response.output_item.added",
          item: { ...item, status: "in_progress", arguments: "" },
        });
        const last = own.pop();
        expect(last).toMatchObject({ type: "response.output_item.done", item });
        const { type, sequence_number, ...done } = own.pop();
        expect(type).toBe("response.function_call_arguments.done");
        const { id: item_id, name, arguments: given } = item;
        expect(done).toEqual({ item_id, output_index, name, arguments: given });
        const deltas = own.map(({ sequence_number, ...delta }) => delta);
        expect(deltas.map(({ delta }) => delta).join("")).toBe(given);
        for (const { delta, ...rest } of deltas) {
          const type = "response.function_call_arguments.delta";
          expect(rest).toEqual({ type, item_id, output_index });
        }
      }
    }
  });

  test("behind a text are items of their own", async () => {
    const said = createToy({ reply: 'Let me see. <tool_call> {"oops', ctx: 4096 });
    const body = ask({ temperature: 0, max_output_tokens: 200 });
    const { json } = await postJson(createApp({ engine: said.engine }), "/v1/responses", body);
    expect(json.output[0]).toMatchObject({
      type: "message",
      status: "completed",
      content: [{ text: expect.stringContaining("Let me see.") }],
    });
    expect(json.output[1]).toMatchObject({ type: "function_call" });
  });

  test("are one at most where parallel_tool_calls is false", async () => {
    for (let seed = 0; seed < 4; seed++) {
      const fields = { tools: [now], tool_choice: "required", parallel_tool_calls: false, seed };
      const { output, parallel_tool_calls } = await respond(fields);
      expect(output).toHaveLength(1);
      expect(parallel_tool_calls).toBe(false);
    }
  });
});

test("tools are repeated with every key", async () => {
  const { tools } = await respond();
  expect(tools).toEqual([weather, { ...now, description: null, parameters: null, strict: null }]);
});

describe("a conversation with calls", () => {
  const call = (call_id: string, name: string, given: string) => ({
    type: "function_call",
    call_id,
    name,
    arguments: given,
  });
  const result = (call_id: string, output: unknown) => ({
    type: "function_call_output",
    call_id,
    output,
  });
  const input = [
    { role: "user", content: "Weather?" },
    { role: "assistant", content: "Let me see." },
    call("a", "get_weather", '{"city":"Rome"}'),
    call("b", "now", "{}"),
    result("a", "sunny"),
    result("b", [{ type: "input_text", text: "noon" }]),
    { role: "user", content: "So?" },
  ];

  test("is that of a chat", async () => {
    const toCall = (id: string, name: string, given: string) => ({
      id,
      type: "function",
      function: { name, arguments: given },
    });
    const messages = [
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: "Let me see.",
        tool_calls: [toCall("a", "get_weather", '{"city":"Rome"}'), toCall("b", "now", "{}")],
      },
      { role: "tool", tool_call_id: "a", content: "sunny" },
      { role: "tool", tool_call_id: "b", content: "noon" },
      { role: "user", content: "So?" },
    ];
    const tools = [nested(weather), nested(now)];
    const { json } = await postJson(app, CHAT, chat({ messages, tools, max_tokens: 1 }));
    const { usage, id } = await respond({ input });
    expect(usage.input_tokens).toBe(json.usage.prompt_tokens);
    const list = await (await app.request(`/v1/responses/${id}/input_items?order=asc`)).json();
    expect(list.data.map((item: Json) => item.type)).toEqual([
      "message",
      "message",
      "function_call",
      "function_call",
      "function_call_output",
      "function_call_output",
      "message",
    ]);
    expect(list.data[5]).toMatchObject({ call_id: "b", output: "noon", status: "completed" });
  });

  test("goes on from calls that were kept, by id and by reference", async () => {
    const fields = { tools: [now], tool_choice: "required", parallel_tool_calls: false };
    const first = await respond(fields);
    const [{ call_id, id }] = first.output;
    const back = [result(call_id, "noon")];
    const chained = await respond({ previous_response_id: first.id, input: back });
    const { json } = await postJson(app, "/v1/responses/input_tokens", {
      ...ask(),
      input: [{ role: "user", content: "Weather?" }, { type: "item_reference", id }, ...back],
    });
    expect(json.input_tokens).toBe(chained.usage.input_tokens);
    expect(chained.usage.input_tokens).toBeGreaterThan(first.usage.input_tokens);
  });

  test("leaves out a call that was cut off", async () => {
    let cut: Json;
    const tool_choice = { type: "function", name: "get_weather" };
    for (let tokens = 16; cut === undefined && tokens < 80; tokens++) {
      const response = await respond({ tool_choice, max_output_tokens: tokens, seed: 1 });
      const last = response.output.at(-1);
      if (last.status === "incomplete" && /^\{./s.test(last.arguments)) cut = response;
    }
    expect(() => JSON.parse(cut.output.at(-1).arguments)).toThrow();
    const { id } = await respond({ previous_response_id: cut.id, input: "Never mind." });
    const list = await (await app.request(`/v1/responses/${id}/input_items?order=asc`)).json();
    expect(list.data).toHaveLength(1 + cut.output.length - 1 + 1);
  });

  test.each<[string, Record<string, unknown>, string]>([
    [
      "arguments that are no JSON",
      { input: [input[0], call("a", "now", "{")] },
      "input[1].arguments",
    ],
    [
      "the second call's",
      { input: [input[0], call("a", "now", "{}"), call("b", "now", "[1]")] },
      "input[2].arguments",
    ],
    [
      "an image as a result",
      { input: [call("a", "now", "{}"), result("a", [{ type: "input_image" }])] },
      "input[1].output[0]",
    ],
    [
      "a choice that is no tool",
      { tool_choice: { type: "function", name: "other" } },
      "tool_choice.name",
    ],
    ["a choice without a name", { tool_choice: { type: "function" } }, "tool_choice.name"],
    ["a choice of OpenAI's tools", { tool_choice: { type: "web_search" } }, "tool_choice"],
    ["a choice that there is not", { tool_choice: "some" }, "tool_choice"],
    ["a tool without a name", { tools: [{ type: "function" }] }, "tools[0].name"],
    ["a tool's name with a space", { tools: [now, { ...now, name: "a b" }] }, "tools[1].name"],
    [
      "a schema that cannot be followed",
      { tools: [{ ...now, parameters: { not: {} } }], tool_choice: "required" },
      "tools",
    ],
  ])("with %s is refused by the field's name", async (_, fields, param) => {
    expect(await refusal(fields)).toMatchObject({ param, type: "invalid_request_error" });
  });

  test.each([
    ["where a call is required", { tool_choice: "required" }],
    ["of the function that is named", { tool_choice: { type: "function", name: "f" } }],
    ["of a strict function", { strict: true }],
  ])("with a keyword that is not supported is refused by path and keyword, %s", async (_, how) => {
    const { strict, ...fields } = how as Record<string, unknown>;
    const parameters = { type: "object", properties: { a: { type: "string", maxLenght: 3 } } };
    const f = { type: "function", name: "f", parameters, strict };
    const error = await refusal({ tools: [now, f], ...fields });
    expect(error).toMatchObject({
      code: "unsupported_schema",
      param: "tools[1].parameters",
      message: expect.stringMatching(/^tools\[1\]\.parameters: .*properties.*a.*maxLenght/),
    });
  });
});
