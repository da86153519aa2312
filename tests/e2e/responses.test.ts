/** /v1/responses with the real model, over real sockets: on Node, and on workerd with its answers in R2. */
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, streamText } from "ai";
import OpenAI, { NotFoundError } from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { startWorkerd } from "../../src/cli/workerd.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { createEngine } from "../../src/platform/node/index.ts";
import { createApp } from "../../src/server/app.ts";
import { DEFAULT_PACK, QUESTION, SMALL_PACK } from "./environment.ts";

const model = "smollm2-135m-instruct";
const ANSWER = "A week is approximately 7 days.";

interface Server {
  readonly url: string;
  close(): Promise<void>;
}

async function onNode(): Promise<Server> {
  const engine = await createEngine(DEFAULT_PACK, { id: model, ctx: 1024, slots: 2 });
  const app = createApp({ engine });
  const server = await nodeHost.serve(app.fetch, { hostname: "127.0.0.1", port: 0 });
  const close = async (): Promise<void> => {
    await server.close();
    await engine.dispose();
  };
  return { url: server.url, close };
}

describe.each<[string, () => Promise<Server>]>([
  ["Node", onNode],
  ["workerd", () => startWorkerd("cloudflare", SMALL_PACK)],
])("on %s", (_, start) => {
  let server: Server;
  let client: OpenAI;
  beforeAll(async () => {
    server = await start();
    const options = { apiKey: "none", maxRetries: 2, timeout: 300_000 };
    client = new OpenAI({ baseURL: `${server.url}/v1`, ...options });
  });
  afterAll(() => server?.close());

  const asked = { model, input: QUESTION, temperature: 0 };

  test("a response is the chat's answer, whole and streamed, and kept", async () => {
    const whole = await client.responses.create(asked);
    expect(whole.output_text).toBe(ANSWER);
    const streamed = await client.responses.stream(asked).finalResponse();
    expect(streamed.output_text).toBe(ANSWER);
    for (const { id } of [whole, streamed]) {
      expect((await client.responses.retrieve(id)).output_text).toBe(ANSWER);
    }
    await client.responses.delete(whole.id);
    await expect(client.responses.retrieve(whole.id)).rejects.toThrow(NotFoundError);
  });

  test("previous_response_id is the same as the conversation itself", async () => {
    const first = await client.responses.create(asked);
    const next = { ...asked, max_output_tokens: 24 };
    const chained = await client.responses.create({
      ...next,
      input: "And in two weeks?",
      previous_response_id: first.id,
    });
    const itself = await client.responses.create({
      ...next,
      input: [
        { role: "user", content: QUESTION },
        { role: "assistant", content: ANSWER },
        { role: "user", content: "And in two weeks?" },
      ],
    });
    expect(chained.output_text).toBe(itself.output_text);
    expect(chained.usage?.input_tokens).toBe(itself.usage?.input_tokens);
    const items = await client.responses.inputItems.list(chained.id);
    expect(items.data).toHaveLength(3);
  });

  test("a schema of zod is followed at a temperature of 1.5", async () => {
    const Week = z.object({ unit: z.enum(["days", "hours"]), count: z.int() });
    const text = { format: zodTextFormat(Week, "week") };
    for (let seed = 1; seed <= 3; seed++) {
      const body = { ...asked, text, temperature: 1.5, max_output_tokens: 100, ...{ seed } };
      const { output_parsed, status } = await client.responses.parse(body);
      if (status === "completed") expect(Week.parse(output_parsed)).toEqual(output_parsed);
      else expect(status).toBe("incomplete");
    }
  });

  test("a tool that is required is called with valid arguments, and its result is read", async () => {
    const parameters = z.object({ city: z.enum(["Paris", "Rome"]) });
    const tools = [zodResponsesFunction({ name: "get_weather", parameters })];
    const stream = client.responses.stream({
      ...asked,
      input: "What is the weather in Rome?",
      tools,
      tool_choice: "required",
      parallel_tool_calls: false,
    });
    const response = await stream.finalResponse();
    const [call] = response.output;
    if (call?.type !== "function_call") throw new Error(`got ${call?.type}`);
    expect(parameters.parse(call.parsed_arguments)).toEqual(JSON.parse(call.arguments));
    const said = await client.responses.create({
      model,
      temperature: 0,
      tools,
      tool_choice: "none",
      previous_response_id: response.id,
      input: [{ type: "function_call_output", call_id: call.call_id, output: "sunny" }],
      max_output_tokens: 32,
    });
    expect(said.output_text).not.toBe("");
  });

  test("the AI SDK's own OpenAI provider goes on by references, streams, and makes objects", async () => {
    const provider = createOpenAI({ baseURL: `${server.url}/v1`, apiKey: "none" });
    const first = await generateText({ model: provider(model), prompt: QUESTION, temperature: 0 });
    expect(first.text).toBe(ANSWER);
    const streamed = streamText({
      model: provider(model),
      messages: [
        { role: "user", content: QUESTION },
        ...first.response.messages,
        { role: "user", content: QUESTION },
      ],
      temperature: 0,
      maxOutputTokens: 24,
    });
    expect((await streamed.text).length).toBeGreaterThan(0);
    expect((await streamed.usage).inputTokens).toBeGreaterThan(first.usage.inputTokens ?? 0);
    const { output } = await generateText({
      model: provider(model),
      prompt: QUESTION,
      output: Output.object({ schema: z.object({ days: z.enum(["six", "seven"]) }) }),
      temperature: 0,
      maxOutputTokens: 100,
    });
    expect(["six", "seven"]).toContain(output.days);
  });
});
