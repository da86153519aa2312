/** The AI SDK, over HTTP by its OpenAI-compatible provider and in process; Ollama's and Anthropic's clients. */

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import {
  APICallError,
  embed,
  embedMany,
  generateObject,
  generateText,
  Output,
  stepCountIs,
  streamObject,
  streamText,
  tool,
} from "ai";
import { Ollama } from "ollama";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { ANSWER_IDS, QUESTION } from "../environment.ts";
import { KEY, MODEL } from "./served-app.ts";

const ANSWER = "A week is approximately 7 days.";
const Days = z.object({ days: z.int().min(1).max(9), holiday: z.boolean() });

export function addAiSdkTests(url: () => string): void {
  const provider = (path = "") =>
    createOpenAICompatible({
      name: "pronk",
      baseURL: `${url()}${path}/v1`,
      apiKey: KEY,
      includeUsage: true,
      supportsStructuredOutputs: true,
    });
  const asked = (path = "") => ({
    model: provider(path)(MODEL),
    prompt: QUESTION,
    temperature: 0,
    maxRetries: 0,
  });

  describe("the AI SDK over HTTP", () => {
    test("generates and streams text with usage", async () => {
      const { text, usage, finishReason } = await generateText(asked());
      expect([text, finishReason]).toEqual([ANSWER, "stop"]);
      expect(usage.outputTokens).toBe(ANSWER_IDS.length);
      const stream = streamText(asked());
      let streamed = "";
      for await (const delta of stream.textStream) streamed += delta;
      expect(streamed).toBe(ANSWER);
      expect(await stream.finishReason).toBe("stop");
      expect((await stream.usage).outputTokens).toBe(ANSWER_IDS.length);
    });

    test("generates and streams objects of a schema", async () => {
      const wild = { ...asked(), temperature: 1.5, seed: 5 };
      const { object } = await generateObject({ ...wild, schema: Days });
      expect(Days.parse(object)).toEqual(object);
      const stream = streamObject({ ...wild, schema: Days });
      for await (const _ of stream.partialObjectStream);
      expect(await stream.object).toEqual(object);
      const { output } = await generateText({ ...wild, output: Output.object({ schema: Days }) });
      expect(output).toEqual(object);
    });

    test("runs tools in a loop", async () => {
      const days: number[] = [];
      const weather = tool({
        inputSchema: z.object({ city: z.enum(["Paris", "Rome"]), days: z.int().min(1).max(9) }),
        execute: async (input) => {
          days.push(input.days);
          return "sunny";
        },
      });
      const { steps } = await generateText({
        ...asked(),
        tools: { weather },
        toolChoice: "required",
        stopWhen: stepCountIs(2),
        maxOutputTokens: 120,
        providerOptions: { pronk: { parallel_tool_calls: false } },
      });
      expect(steps).toHaveLength(2);
      expect(days.length).toBeGreaterThan(0);
      const stream = streamText({
        ...asked(),
        tools: { weather },
        toolChoice: { type: "tool", toolName: "weather" },
        maxOutputTokens: 120,
        providerOptions: { pronk: { parallel_tool_calls: false } },
      });
      const [call] = await stream.toolCalls;
      expect(call).toMatchObject({ toolName: "weather" });
    });

    test("embeds one and many", async () => {
      const model = provider().embeddingModel(MODEL);
      const { embedding } = await embed({ model, value: "seven days" });
      const { embeddings } = await embedMany({ model, values: ["seven days", "a week"] });
      expect(embedding).toHaveLength(576);
      expect(embeddings[0]).toEqual(embedding);
    });

    test("is told what is wrong, also in the middle of a stream, and can leave", async () => {
      const error = await generateText({ ...asked(), model: provider()("none") }).catch(
        (e: unknown) => e,
      );
      expect(APICallError.isInstance(error)).toBe(true);
      expect(error).toMatchObject({ statusCode: 404, isRetryable: false });
      const errors: unknown[] = [];
      const onError = ({ error }: { error: unknown }) => {
        errors.push(error);
      };
      const failing = streamText({ ...asked("/faulty"), onError });
      const parts: string[] = [];
      for await (const { type } of failing.fullStream) parts.push(type);
      expect(parts).toContain("text-delta");
      expect(parts).toContain("error");
      expect(errors).toHaveLength(1);
      const leave = new AbortController();
      const left = streamText({ ...asked(), abortSignal: leave.signal });
      for await (const { type } of left.fullStream) if (type === "text-delta") leave.abort();
      const { text } = await generateText(asked());
      expect(text).toBe(ANSWER);
    });

    test("tries again while the model is loading", async () => {
      const { text } = await generateText({ ...asked("/cold"), maxRetries: 2 });
      expect(text).toBe(ANSWER);
    });
  });

  describe("the AI SDK's own OpenAI provider, by /v1/responses", () => {
    const model = () => createOpenAI({ baseURL: `${url()}/v1`, apiKey: KEY }).responses(MODEL);
    const question = () => ({ model: model(), prompt: QUESTION, temperature: 0, maxRetries: 0 });

    test("generates and streams text and objects", async () => {
      const { text, usage, finishReason } = await generateText(question());
      expect([text, finishReason]).toEqual([ANSWER, "stop"]);
      expect(usage.outputTokens).toBe(ANSWER_IDS.length);
      const stream = streamText(question());
      let streamed = "";
      for await (const delta of stream.textStream) streamed += delta;
      expect(streamed).toBe(ANSWER);
      const output = Output.object({ schema: Days });
      const { output: object } = await generateText({ ...question(), temperature: 1.5, output });
      expect(Days.parse(object)).toEqual(object);
    });

    test("calls a tool that is required, and takes its result back", async () => {
      const execute = async () => "sunny";
      const weather = tool({
        inputSchema: z.object({ city: z.enum(["Paris", "Rome"]) }),
        execute,
      });
      const { steps } = await generateText({
        ...question(),
        tools: { weather },
        toolChoice: "required",
        stopWhen: stepCountIs(2),
        maxOutputTokens: 100,
        providerOptions: { openai: { parallelToolCalls: false } },
      });
      expect(steps).toHaveLength(2);
      expect(steps[0]?.toolResults).toMatchObject([{ toolName: "weather", output: "sunny" }]);
      const stream = streamText({
        ...question(),
        tools: { weather },
        toolChoice: { type: "tool", toolName: "weather" },
        maxOutputTokens: 100,
        providerOptions: { openai: { parallelToolCalls: false } },
      });
      expect(await stream.toolCalls).toMatchObject([{ toolName: "weather" }]);
    });
  });

  test("the AI SDK in process does all of it without HTTP", async () => {
    const found = await (await fetch(`${url()}/in-process`)).json();
    expect(found).toMatchObject({
      text: ANSWER,
      streamed: ANSWER,
      usage: { outputTokens: ANSWER_IDS.length },
      output: { days: expect.any(Number) },
      calls: [{ toolName: "pick", input: { day: expect.stringMatching(/^(?:Monday|Friday)$/) } }],
      width: 576,
    });
  });

  test("Ollama's client chats, streams and embeds", async () => {
    const client = new Ollama({ host: url(), headers: { authorization: `Bearer ${KEY}` } });
    const chat = {
      model: MODEL,
      messages: [{ role: "user", content: QUESTION }],
      options: { temperature: 0, repeat_penalty: 1 },
    };
    const whole = await client.chat(chat);
    expect(whole.message.content).toBe(ANSWER);
    let text = "";
    for await (const part of await client.chat({ ...chat, stream: true })) {
      text += part.message.content;
    }
    expect(text).toBe(ANSWER);
    const { embeddings } = await client.embed({ model: MODEL, input: "seven days" });
    expect(embeddings[0]).toHaveLength(576);
    expect((await client.list()).models[0]?.name).toBe(MODEL);
  });

  test("Anthropic's client writes messages, streams and counts", async () => {
    const client = new Anthropic({ baseURL: url(), apiKey: KEY, maxRetries: 0 });
    const request = {
      model: MODEL,
      max_tokens: 32,
      messages: [{ role: "user" as const, content: QUESTION }],
      ...{ temperature: 0 },
    };
    const message = await client.messages.create(request);
    expect(message).toMatchObject({ content: [{ type: "text", text: ANSWER }] });
    const stream = await client.messages.stream(request).finalMessage();
    expect(stream.content).toMatchObject([{ type: "text", text: ANSWER }]);
    const { model, messages } = request;
    const { input_tokens } = await client.messages.countTokens({ model, messages });
    const { usage } = message;
    expect(input_tokens).toBe(usage.input_tokens + (usage.cache_read_input_tokens ?? 0));
  });
}
