import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { TOOL_TEMPLATES } from "../../support/tool-templates.ts";
import { CHAT, chat, chunks, type Json, post, postJson } from "./client.ts";
import { createToy, jinja } from "./toy-engine.ts";

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: {
      type: "object",
      properties: {
        city: { enum: ["Paris", "Rome"] },
        days: { type: "integer", maximum: 9, minimum: 1 },
      },
      required: ["city"],
      additionalProperties: false,
    },
  },
};
const now = { type: "function", function: { name: "now" } };
const validate = new Ajv2020().compile(weather.function.parameters);

interface Message {
  content: string | null;
  calls: { id: string; type: string; function: { name: string; arguments: string } }[];
  finish_reason: string;
}

/** What a client puts together of a stream's deltas. */
function gather(events: readonly Json[]): Message {
  const message: Message = { content: null, calls: [], finish_reason: "" };
  expect(events[0].choices[0].delta.role).toBe("assistant");
  for (const { choices } of events) {
    const [{ delta, finish_reason }] = choices;
    if (finish_reason !== null) message.finish_reason = finish_reason;
    if (delta.content) message.content = (message.content ?? "") + delta.content;
    for (const call of delta.tool_calls ?? []) {
      if (call.index === message.calls.length) {
        expect(call).toMatchObject({ id: expect.any(String), type: "function" });
        expect(call.function).toEqual({ name: expect.any(String), arguments: "" });
        message.calls.push({ id: call.id, type: call.type, function: { ...call.function } });
      } else {
        expect(Object.keys(call)).toEqual(["index", "function"]);
        message.calls[call.index]!.function.arguments += call.function.arguments;
      }
    }
  }
  return message;
}

describe.each(["fallback", ...Object.keys(TOOL_TEMPLATES)])("with the format %s", (format) => {
  const template = (TOOL_TEMPLATES as Record<string, string | undefined>)[format];
  const toyOf = (reply?: string) =>
    createToy({
      ctx: 4096,
      ...(reply === undefined ? { random: true } : { reply }),
      ...(template === undefined ? {} : { template: jinja(template, "<|begin_of_text|>") }),
    });
  const app = createApp({ engine: toyOf().engine });

  test.each([
    ["required", ["get_weather", "now"]],
    [{ type: "function", function: { name: "get_weather" } }, ["get_weather"]],
    [{ type: "allowed_tools", allowed_tools: { mode: "required", tools: [now] } }, ["now"]],
  ])("tool_choice %j always gives valid calls", async (tool_choice, names) => {
    for (let seed = 0; seed < 8; seed++) {
      const body = chat({
        tools: [weather, now],
        tool_choice,
        seed,
        temperature: 1.5,
        max_tokens: 300,
      });
      const { status, json } = await postJson(app, CHAT, body);
      expect([status, json.error]).toEqual([200, undefined]);
      const [{ message, finish_reason }] = json.choices;
      expect(message.content).toBeNull();
      if (finish_reason !== "length") {
        expect(finish_reason).toBe("tool_calls");
        expect(message.tool_calls.length).toBeGreaterThan(0);
        for (const { id, type, function: called } of message.tool_calls) {
          expect([id, type]).toEqual([expect.stringMatching(/^call_\w+$/), "function"]);
          expect(names).toContain(called.name);
          const given = JSON.parse(called.arguments);
          if (called.name === "now") expect(given).toEqual({});
          else expect([given, validate(given)]).toEqual([given, true]);
        }
        const ids = new Set(message.tool_calls.map(({ id }: Json) => id));
        expect(ids.size).toBe(message.tool_calls.length);
      }
      const streamed = gather(await chunks(await post(app, CHAT, { ...body, stream: true })));
      expect(streamed.finish_reason).toBe(finish_reason);
      expect(streamed.content).toBeNull();
      const withoutIds = (calls: Message["calls"]) => calls.map((call) => ({ ...call, id: "" }));
      expect(withoutIds(streamed.calls)).toEqual(withoutIds(message.tool_calls));
    }
  });

  test("parallel_tool_calls false gives one call at most", async () => {
    for (let seed = 0; seed < 8; seed++) {
      const fields = { tools: [now], tool_choice: "required", parallel_tool_calls: false };
      const { json } = await postJson(app, CHAT, chat({ ...fields, seed, temperature: 1.5 }));
      expect(json.choices[0].finish_reason).toBe("tool_calls");
      expect(json.choices[0].message.tool_calls).toHaveLength(1);
    }
  });

  test("auto lets the model say what it says", async () => {
    const said = createApp({ engine: toyOf("Rain < 3 {[mm].").engine });
    const { json } = await postJson(said, CHAT, chat({ tools: [weather, now] }));
    expect(json.choices[0]).toMatchObject({
      message: { content: "Rain < 3 {[mm]." },
      finish_reason: "stop",
    });
    expect(json.choices[0].message.tool_calls).toBeUndefined();
  });

  test("auto keeps a call that has begun valid", async () => {
    // The model begins a call and would go on with nonsense.
    const heads: Record<string, string> = {
      llama: '{"name": "get_weather", oops',
      pythonic: "[get_weather(oops",
    };
    const head = heads[format] ?? 'Let me see. <tool_call> {"oops';
    const said = createApp({ engine: toyOf(head).engine });
    for (let seed = 0; seed < 4; seed++) {
      const body = chat({ tools: [weather, now], temperature: 1, seed, max_tokens: 400 });
      const { json } = await postJson(said, CHAT, body);
      const [{ message, finish_reason }] = json.choices;
      expect(message.tool_calls.length).toBeGreaterThan(0);
      if (finish_reason === "length") continue;
      for (const { function: called } of message.tool_calls) {
        const given = JSON.parse(called.arguments);
        if (called.name === "get_weather") expect(validate(given)).toBe(true);
        else expect(called.name).toBe("now");
      }
      expect(finish_reason).toBe("tool_calls");
      const streamed = gather(await chunks(await post(said, CHAT, { ...body, stream: true })));
      expect(streamed.content).toBe(message.content);
      expect(streamed.calls.map((call) => call.function)).toEqual(
        message.tool_calls.map((call: Json) => call.function),
      );
    }
  });

  test("none says nothing of tools and reads no calls", async () => {
    const plain = await postJson(app, CHAT, chat({ seed: 1, max_tokens: 5 }));
    const none = await postJson(
      app,
      CHAT,
      chat({ seed: 1, max_tokens: 5, tools: [weather], tool_choice: "none" }),
    );
    expect(none.json.choices).toEqual(plain.json.choices);
    expect(none.json.usage.prompt_tokens).toBe(plain.json.usage.prompt_tokens);
  });

  test("takes results back", async () => {
    const call = (id: string, name: string, given: string) => ({
      id,
      type: "function",
      function: { name, arguments: given },
    });
    const messages = [
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [call("a", "get_weather", '{"city":"Rome"}'), call("b", "now", "")],
      },
      { role: "tool", tool_call_id: "a", content: "sunny" },
      { role: "tool", tool_call_id: "b", content: [{ type: "text", text: "noon" }] },
      { role: "user", content: "So?" },
    ];
    const { status, json } = await postJson(
      app,
      CHAT,
      chat({ messages, tools: [weather, now], max_tokens: 5, return_token_ids: true }),
    );
    expect([status, json.error]).toEqual([200, undefined]);
  });
});
