/** Anthropic's Messages API, through its own client and by hand. */
import Anthropic, {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
} from "@anthropic-ai/sdk";
import { describe, expect, test } from "vitest";
import { type AppOptions, createApp } from "../../../src/server/app.ts";
import { events, post, postJson } from "./client.ts";
import { createToy, type ToyOptions } from "./toy-engine.ts";

const SAID = "There are 7 days in a week.";
const MODEL = "toy/llama";
const asked = {
  model: MODEL,
  max_tokens: 64,
  temperature: 0,
  messages: [{ role: "user" as const, content: "How many days are in a week?" }],
};

function serve(toy: ToyOptions = {}, options: Partial<AppOptions> = {}) {
  const { engine } = createToy(toy);
  const app = createApp({ engine, ...options });
  const client = new Anthropic({
    baseURL: "http://pronk.test",
    apiKey: "k",
    maxRetries: 0,
    fetch: async (url, init) => app.request(String(url), init as RequestInit),
  });
  return { engine, app, client };
}

describe("/v1/messages", () => {
  test("answers with a message, its usage and an id of the request", async () => {
    const message = await serve().client.messages.create(asked);
    expect(message).toMatchObject({
      type: "message",
      role: "assistant",
      model: MODEL,
      content: [{ type: "text", text: SAID }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { output_tokens: createToy().replyIds.length, cache_read_input_tokens: 0 },
    });
    expect(message.id).toMatch(/^msg_/);
    expect(message._request_id).toMatch(/^req_/);
    expect(message.usage.input_tokens).toBeGreaterThan(10);
  });

  test("streams events that its helper makes the same message of", async () => {
    const { client, app } = serve();
    const body = { ...asked, stream: true };
    const named = (await events(await post(app, "/v1/messages", body))).map(
      (event) => /^event: (\w+)\ndata: \{"type":"(\w+)"/.exec(event)?.slice(1) ?? [],
    );
    expect(named.every(([name, type]) => name === type)).toBe(true);
    const names = named.map(([name]) => name);
    expect(names.slice(0, 3)).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
    ]);
    expect(names.slice(-3)).toEqual(["content_block_stop", "message_delta", "message_stop"]);
    expect(names.length).toBe(createToy().replyIds.length - 1 + 5);

    const stream = client.messages.stream(asked);
    let text = "";
    stream.on("text", (delta) => {
      text += delta;
    });
    const message = await stream.finalMessage();
    expect(text).toBe(SAID);
    expect(message).toMatchObject({ stop_reason: "end_turn", content: [{ text: SAID }] });
    expect(message.usage.output_tokens).toBe(createToy().replyIds.length);
  });

  test("says what ended it", async () => {
    const { client } = serve();
    const short = await client.messages.create({ ...asked, max_tokens: 2 });
    expect(short).toMatchObject({ stop_reason: "max_tokens", usage: { output_tokens: 2 } });
    const stopped = await client.messages.create({ ...asked, stop_sequences: ["zzz", " days"] });
    expect(stopped).toMatchObject({
      content: [{ text: "There are 7" }],
      stop_reason: "stop_sequence",
      stop_sequence: " days",
    });
    const streamed = await client.messages
      .stream({ ...asked, stop_sequences: [" days"] })
      .finalMessage();
    expect(streamed).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: " days" });
  });

  test("counts the tokens of what the chat template makes of system and blocks", async () => {
    const { client, engine } = serve();
    const request = {
      ...asked,
      system: [
        { type: "text" as const, text: "Be" },
        { type: "text" as const, text: "brief." },
      ],
      messages: [
        { role: "user" as const, content: "Hi" },
        { role: "assistant" as const, content: [{ type: "text" as const, text: "Hello." }] },
        {
          role: "user" as const,
          content: [
            { type: "text" as const, text: "One", cache_control: { type: "ephemeral" as const } },
            { type: "text" as const, text: "two" },
          ],
        },
      ],
    };
    const rendered = engine.template!.render([
      { role: "system", content: "Be\nbrief." },
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello." },
      { role: "user", content: "One\ntwo" },
    ]);
    const { length } = engine.tokenizer.encode(rendered, {
      addSpecialTokens: false,
      parseSpecial: true,
    });
    expect((await client.messages.create(request)).usage.input_tokens).toBe(length);
    const { model, system, messages } = request;
    expect(await client.messages.countTokens({ model, system, messages })).toEqual({
      input_tokens: length,
    });
    const again = await client.messages.create(request);
    const { input_tokens, cache_read_input_tokens } = again.usage;
    expect(cache_read_input_tokens).toBeGreaterThan(0);
    expect(input_tokens + (cache_read_input_tokens ?? 0)).toBe(length);
  });

  test("follows a schema whatever the model would say", async () => {
    const { client } = serve({ random: true });
    const message = await client.messages.create({
      ...asked,
      output_config: {
        format: {
          type: "json_schema",
          schema: {
            type: "object",
            properties: { ok: { type: "boolean" } },
            required: ["ok"],
            additionalProperties: false,
          },
        },
      },
    });
    const [block] = message.content;
    expect(JSON.parse(block?.type === "text" ? block.text : "")).toEqual({
      ok: expect.any(Boolean),
    });
  });

  test.each([
    ["max_tokens", { max_tokens: undefined }],
    ["max_tokens", { max_tokens: 0 }],
    ["temperature", { temperature: 1.5 }],
    ["stop_sequences", { stop_sequences: Array(40).fill("x") }],
    ["thinking", { thinking: { type: "enabled", budget_tokens: 1024 } }],
    ["messages", { messages: [] }],
    ["messages[0].content[0]", { messages: [{ role: "user", content: [{ type: "image" }] }] }],
    ["messages[1].role", { messages: [...asked.messages, { role: "assistant", content: "A" }] }],
    ["messages[0].content[0].text", { messages: [{ role: "user", content: [{ type: "text" }] }] }],
    [
      "messages[0].content[0].tool_use_id",
      { messages: [{ role: "user", content: [{ type: "tool_result", content: "x" }] }] },
    ],
    [
      "tool_choice.name",
      { tools: [{ name: "x", input_schema: {} }], tool_choice: { type: "tool" } },
    ],
    ["tools[0].type", { tools: [{ type: "bash_20250124", name: "bash" }] }],
    ["tools[0].input_schema", { tools: [{ name: "x" }] }],
    [
      "output_config.format.schema",
      { output_config: { format: { type: "json_schema", schema: { $dynamicRef: "#x" } } } },
    ],
  ])("refuses %s by its name: %j", async (param, fields) => {
    const { status, json } = await postJson(serve().app, "/v1/messages", { ...asked, ...fields });
    expect(status).toBe(400);
    expect(json).toEqual({
      type: "error",
      error: { type: "invalid_request_error", message: expect.any(String) },
      request_id: expect.stringMatching(/^req_/),
    });
    expect(json.error.message.split(":")[0]).toBe(param);
  });

  test("fails with the classes that its client knows", async () => {
    const { client } = serve({}, { auth: { keys: ["k"] } });
    expect((await client.messages.create(asked)).stop_reason).toBe("end_turn"); // by x-api-key
    const stranger = client.withOptions({ apiKey: "no" }).messages.create(asked);
    await expect(stranger).rejects.toThrow(AuthenticationError);
    const unknown = client.messages.create({ ...asked, model: "claude" });
    await expect(unknown).rejects.toThrow(NotFoundError);
    const error = await client.messages
      .create({ ...asked, ...{ top_p: 2 } })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ requestID: expect.stringMatching(/^req_/) });
    const { client: loading } = serve({}, { engine: () => undefined });
    await expect(loading.messages.create(asked)).rejects.toThrow(InternalServerError);
  });

  test("says that it failed in the middle of a stream", async () => {
    const { client, app } = serve({
      onForward: (call) => {
        if (call === 4 || call === 9) throw new Error("trap");
      },
    });
    const all = await events(await post(app, "/v1/messages", { ...asked, stream: true }));
    expect(all.at(-1)).toMatch(
      /^event: error\ndata: \{"type":"error","error":\{"type":"api_error"/,
    );
    await expect(client.messages.stream(asked).finalMessage()).rejects.toThrow(APIError);
  });

  test("stops when the client leaves", async () => {
    const { client, engine } = serve({ ctx: 4096, random: true });
    const stream = await client.messages.create({ ...asked, max_tokens: 4000, stream: true });
    for await (const event of stream) if (event.type === "content_block_delta") break;
    await expect.poll(() => engine.stats().busy).toBe(0);
  });
});

describe("tools", () => {
  const weather = {
    name: "get_weather",
    description: "The weather of a city",
    input_schema: {
      type: "object" as const,
      properties: { city: { enum: ["Paris", "Rome"] } },
      required: ["city"],
    },
  };
  const toy: ToyOptions = { random: true, ctx: 4096 };
  const valid = { type: "tool_use", name: "get_weather", input: { city: expect.any(String) } };

  test.each([
    { type: "any" as const, disable_parallel_tool_use: true },
    { type: "tool" as const, name: "get_weather", disable_parallel_tool_use: true },
  ])("%j makes a valid call, whole and streamed, and its result goes back", async (tool_choice) => {
    const { client } = serve(toy);
    const request = { ...asked, max_tokens: 300, temperature: 1, tools: [weather], tool_choice };
    const message = await client.messages.create(request);
    expect(message).toMatchObject({ stop_reason: "tool_use", content: [valid] });
    const streamed = await client.messages.stream(request).finalMessage();
    expect(streamed).toMatchObject({ stop_reason: "tool_use", content: [valid] });
    const [call] = message.content;
    if (call?.type !== "tool_use") throw new Error("no call");
    const next = await client.messages.create({
      ...request,
      max_tokens: 5,
      tool_choice: { type: "none" },
      messages: [
        ...asked.messages,
        { role: "assistant", content: message.content },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: call.id,
              content: [{ type: "text", text: "12 °C" }],
            },
            { type: "text", text: "And?" },
          ],
        },
      ],
    });
    expect(next.usage.output_tokens).toBe(5);
  });
});

test("is not there where it is not wanted", async () => {
  const { app } = serve({}, { dialects: ["ollama"] });
  expect((await post(app, "/v1/messages", asked)).status).toBe(404);
});
