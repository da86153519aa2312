/** /v1/responses through the clients that people have: `openai`, and the AI SDK's own OpenAI provider. */
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, streamText, tool } from "ai";
import OpenAI, { BadRequestError, NotFoundError } from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { createApp } from "../../../src/server/app.ts";
import type { App } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const REPLY = "There are 7 days in a week.";
const model = "toy/llama";
const input = "How many days are in a week?";
const app = createApp({ engine: createToy({ ctx: 1024 }).engine });
const randomApp = createApp({ engine: createToy({ random: true, ctx: 4096 }).engine });

/** Bodies that a client sent, for what it made of our answers. */
const sent: { path: string; body: Record<string, unknown> }[] = [];
const fetchOf =
  (app: App) =>
  async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const path = new URL(String(url)).pathname;
    sent.push({ path, body: init?.body ? JSON.parse(String(init.body)) : {} });
    return app.request(String(url), init);
  };
const openaiOf = (app: App) =>
  new OpenAI({ baseURL: "http://pronk/v1", apiKey: "k", maxRetries: 0, fetch: fetchOf(app) });
const client = openaiOf(app);
const random = openaiOf(randomApp);

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

const Days = z.object({ unit: z.enum(["days", "hours"]), count: z.int() });

describe("openai", () => {
  test("creates, goes on, retrieves, lists, counts and deletes", async () => {
    const first = await client.responses.create({ model, input, temperature: 0 });
    expect(first.output_text).toBe(REPLY);
    const next = { model, input: "Sure?", previous_response_id: first.id, temperature: 0 };
    const second = await client.responses.create(next);
    const { input_tokens } = await client.responses.inputTokens.count(next);
    expect(second.usage?.input_tokens).toBe(input_tokens);
    expect((await client.responses.retrieve(second.id)).output_text).toBe(REPLY);
    const texts: string[] = [];
    for await (const item of client.responses.inputItems.list(second.id, {
      order: "asc",
      limit: 1,
    })) {
      if (item.type !== "message") throw new Error(item.type);
      for (const part of item.content) if ("text" in part) texts.push(part.text);
    }
    expect(texts).toEqual([input, REPLY, "Sure?"]);
    await client.responses.delete(first.id);
    await expect(client.responses.retrieve(first.id)).rejects.toThrow(NotFoundError);
    await expect(client.responses.cancel(second.id)).rejects.toThrow(BadRequestError);
  });

  test("streams events", async () => {
    const stream = await client.responses.create({ model, input, temperature: 0, stream: true });
    let text = "";
    let last = "";
    for await (const event of stream) {
      last = event.type;
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    expect([text, last]).toEqual([REPLY, "response.completed"]);
  });

  test("gathers a stream by its helper", async () => {
    const stream = client.responses.stream({ model, input, temperature: 0 });
    const snapshots: string[] = [];
    stream.on("response.output_text.delta", ({ snapshot }) => snapshots.push(snapshot));
    const response = await stream.finalResponse();
    expect(response.output_text).toBe(REPLY);
    expect(response.status).toBe("completed");
    expect(snapshots.at(-1)).toBe(REPLY);
  });

  test("parses what a schema of zod asks for, streamed, too", async () => {
    for (let seed = 0; seed < 3; seed++) {
      const asked = {
        model,
        input,
        temperature: 1,
        max_output_tokens: 600,
        text: { format: zodTextFormat(Days, "days") },
        ...{ seed },
      };
      const response = await random.responses.parse(asked);
      const streamed = await random.responses.stream(asked).finalResponse();
      expect(streamed.output_text).toBe(response.output_text);
      if (response.status === "incomplete") continue;
      expect(Days.parse(response.output_parsed)).toEqual(response.output_parsed);
      expect(streamed.output_parsed).toEqual(response.output_parsed);
    }
  });

  test("parses calls, and sends their results back", async () => {
    const parameters = z.object({ city: z.enum(["Paris", "Rome"]) });
    const asked = {
      model,
      input: "Weather?",
      tools: [zodResponsesFunction({ name: "get_weather", parameters })],
      tool_choice: "required" as const,
      parallel_tool_calls: false,
      temperature: 1,
      ...{ seed: 4 },
    };
    const response = await random.responses.parse(asked);
    const [call] = response.output;
    if (call?.type !== "function_call") throw new Error(call?.type);
    expect(parameters.parse(call.parsed_arguments)).toEqual(JSON.parse(call.arguments));
    const streamed = await random.responses.stream(asked).finalResponse();
    expect(streamed.output[0]).toMatchObject({ arguments: call.arguments, name: call.name });
    const followed = await random.responses.create({
      model,
      tools: asked.tools,
      previous_response_id: response.id,
      input: [{ type: "function_call_output", call_id: call.call_id, output: "sunny" }],
      max_output_tokens: 16,
    });
    expect(followed.output.length).toBeGreaterThan(0);
  });

  test("throws its own errors, and hands on what fails in a stream", async () => {
    const image = { type: "input_image" as const, detail: "auto" as const, image_url: "data:," };
    const refused = client.responses.create({ model, input: [{ role: "user", content: [image] }] });
    await expect(refused).rejects.toMatchObject({
      status: 400,
      param: "input[0].content[0]",
      code: "unsupported_parameter",
    });
    await expect(refused).rejects.toBeInstanceOf(BadRequestError);
    const broken = createToy({
      onForward: (call) => {
        if (call === 4) throw new Error("trap");
      },
    });
    const failing = openaiOf(createApp({ engine: broken.engine }));
    const types: string[] = [];
    for await (const { type } of await failing.responses.create({ model, input, stream: true })) {
      types.push(type);
    }
    expect(types.slice(-2)).toEqual(["error", "response.failed"]);
  });

  test("rejects what its helper gathers of a stream that fails", async () => {
    const broken = createToy({
      onForward: (call) => {
        if (call === 4) throw new Error("trap");
      },
    });
    const failing = openaiOf(createApp({ engine: broken.engine }));
    const stream = failing.responses.stream({ model, input });
    await expect(stream.finalResponse()).rejects.toMatchObject({
      code: "engine_failed",
      message: "engine: the backend failed",
    });
  });
});

describe("the AI SDK's OpenAI provider", () => {
  const providerOf = (app: App) =>
    createOpenAI({ baseURL: "http://pronk/v1", apiKey: "k", fetch: fetchOf(app) });
  const model = providerOf(app)("toy/llama");
  const randomModel = providerOf(randomApp)("toy/llama");

  test("generates a text, by this route", async () => {
    sent.length = 0;
    const { text, usage, finishReason, warnings } = await generateText({
      model,
      prompt: input,
      temperature: 0,
    });
    expect([text, finishReason, warnings ?? []]).toEqual([REPLY, "stop", []]);
    expect(usage.totalTokens).toBeGreaterThan(10);
    expect(sent.map(({ path }) => path)).toEqual(["/v1/responses"]);
  });

  test("streams a text", async () => {
    const { textStream, finishReason, usage } = streamText({
      model,
      prompt: input,
      temperature: 0,
    });
    const pieces = await all(textStream);
    expect(pieces.length).toBeGreaterThan(5);
    expect(pieces.join("")).toBe(REPLY);
    expect(await finishReason).toBe("stop");
    expect((await usage).outputTokens).toBeGreaterThan(5);
  });

  test("goes on from an answer by reference to its item", async () => {
    const first = await generateText({ model, prompt: input, temperature: 0 });
    sent.length = 0;
    const second = await generateText({
      model,
      system: "Be brief.",
      messages: [
        { role: "user", content: input },
        ...first.response.messages,
        { role: "user", content: "Sure?" },
      ],
      temperature: 0,
    });
    expect(second.text).toBe(REPLY);
    expect(JSON.stringify(sent[0]?.body.input)).toContain("item_reference");
    expect(second.usage.inputTokens).toBeGreaterThan(first.usage.inputTokens ?? 0);
  });

  test("generates an object, streamed, too", async () => {
    const asked = {
      model: randomModel,
      prompt: input,
      output: Output.object({ schema: Days }),
      temperature: 1,
      maxOutputTokens: 600,
    };
    let complete = 0;
    for (let round = 0; round < 4; round++) {
      const { text, finishReason } = await generateText(asked);
      if (finishReason === "length") continue;
      Days.parse(JSON.parse(text));
      complete++;
    }
    const streamed = streamText(asked);
    const text = (await all(streamed.textStream)).join("");
    if ((await streamed.finishReason) === "stop") Days.parse(JSON.parse(text));
    expect(complete).toBeGreaterThan(0);
  });

  test("calls tools and sends their results back, streamed, too", async () => {
    const asked: string[] = [];
    const tools = {
      get_weather: tool({
        description: "The weather of a city",
        inputSchema: z.object({ city: z.enum(["Paris", "Rome"]) }),
        execute: async ({ city }) => {
          asked.push(city);
          return "sunny";
        },
      }),
    };
    const options = {
      model: randomModel,
      prompt: "Weather?",
      tools,
      toolChoice: "required" as const,
      temperature: 1,
      maxOutputTokens: 600,
      providerOptions: { openai: { parallelToolCalls: false } },
    };
    const { toolCalls, toolResults, response } = await generateText(options);
    expect(toolCalls).toHaveLength(1);
    expect(toolResults[0]?.output).toBe("sunny");
    const streamed = streamText(options);
    expect(await streamed.toolCalls).toHaveLength(1);
    for (const city of asked) expect(["Paris", "Rome"]).toContain(city);
    sent.length = 0;
    const followed = await generateText({
      ...options,
      toolChoice: "none",
      prompt: undefined,
      messages: [{ role: "user", content: "Weather?" }, ...response.messages],
      maxOutputTokens: 16,
    });
    expect(followed.finishReason).toMatch(/^(stop|length)$/);
    expect(JSON.stringify(sent[0]?.body.input)).toContain("function_call_output");
  });

  test("tells of a failure in a stream", async () => {
    const broken = createToy({
      onForward: (call) => {
        if (call === 4) throw new Error("trap");
      },
    });
    const errors: unknown[] = [];
    const streamed = streamText({
      model: providerOf(createApp({ engine: broken.engine }))("toy/llama"),
      prompt: input,
      onError: ({ error }) => void errors.push(error),
    });
    await streamed.consumeStream();
    expect(errors.length).toBeGreaterThan(0);
    expect(await streamed.finishReason).toBe("error");
  });
});
