/** The `openai` package against a Node server with the real model, over a real socket. */
import OpenAI, {
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { createEngine } from "../../src/platform/node/index.ts";
import { createApp } from "../../src/server/app.ts";
import { golden, modelPath, WEEK_IDS, WEEK_QUESTION } from "../support/smollm2.ts";

const MODEL = "smollm2-135m-instruct";
const KEY = "test-key";
/** WEEK_IDS as text. */
const WEEK = "A week is approximately 7 days.";
const week = {
  model: MODEL,
  messages: [{ role: "user" as const, content: WEEK_QUESTION }],
  temperature: 0,
};

let engine: Engine;
/** Requests that are still to be told that the model is loading. */
let refusals = 0;
let server: Awaited<ReturnType<typeof nodeHost.serve>>;
let client: OpenAI;

beforeAll(async () => {
  if (!modelPath) return;
  engine = await createEngine(modelPath, { id: MODEL, ctx: 1024, slots: 2, maxQueue: 2 });
  const app = createApp({
    engine: () => (refusals-- > 0 ? undefined : engine),
    auth: { keys: [KEY] },
  });
  server = await nodeHost.serve(app.fetch, { hostname: "127.0.0.1", port: 0 });
  client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: KEY,
    maxRetries: 0,
    timeout: 180_000,
  });
}, 120_000);

afterAll(async () => {
  await server?.close();
  await engine?.dispose();
});

/** Resolves when no generation is left; the engine must notice within a few tokens. */
async function settled(): Promise<void> {
  const before = engine.stats().generated_tokens;
  while (engine.stats().busy + engine.stats().queued > 0) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(engine.stats().generated_tokens - before).toBeLessThan(20);
  }
}

describe.skipIf(!modelPath)("the openai client", { timeout: 180_000 }, () => {
  test("chats", async () => {
    const completion = await client.chat.completions.create(week);
    expect(completion.choices[0]).toMatchObject({
      index: 0,
      message: { role: "assistant", content: WEEK, refusal: null },
      finish_reason: "stop",
    });
    expect(completion.usage).toMatchObject({ completion_tokens: WEEK_IDS.length });
    expect(completion._request_id).toMatch(/^req_/);
  });

  test("gets the ids that it asks for", async () => {
    const completion = await client.chat.completions.create({
      ...week,
      ...{ return_token_ids: true },
    });
    expect(completion.choices[0]).toMatchObject({ token_ids: WEEK_IDS });
  });

  test.each(golden.chats.map((chat, i) => [i, chat] as const))(
    "sends the golden conversation %i, which becomes the reference's prompt ids",
    async (_, { messages, prompt_ids }) => {
      const completion = await client.chat.completions.create({
        model: MODEL,
        messages: messages as OpenAI.ChatCompletionMessageParam[],
        max_tokens: 1,
        ...{ return_token_ids: true },
      });
      expect(completion).toMatchObject({ prompt_token_ids: prompt_ids });
    },
  );

  test("reads a stream, one chunk a token, with the usage at the end", async () => {
    const stream = await client.chat.completions.create({
      ...week,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const texts = chunks.flatMap(({ choices: [choice] }) => choice?.delta.content || []);
    expect(texts).toHaveLength(WEEK_IDS.length - 1);
    expect(texts.join("")).toBe(WEEK);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: WEEK_IDS.length });
  });

  test("reads a stream of several choices through its helper", async () => {
    const stream = client.chat.completions.stream({ ...week, n: 3 });
    const { choices } = await stream.finalChatCompletion();
    expect(choices.map(({ message }) => message.content)).toEqual([WEEK, WEEK, WEEK]);
    expect(choices.every(({ finish_reason }) => finish_reason === "stop")).toBe(true);
  });

  test("gets log-probabilities that spell the answer", async () => {
    const { choices } = await client.chat.completions.create({
      ...week,
      logprobs: true,
      top_logprobs: 2,
    });
    const entries = choices[0]?.logprobs?.content ?? [];
    expect(entries.map(({ token }) => token).join("")).toBe(WEEK);
    expect(entries.every(({ token, top_logprobs: [top] }) => top?.token === token)).toBe(true);
  });

  test("completes a raw prompt, whole and streamed", async () => {
    const body = { model: MODEL, prompt: "The capital of France is", temperature: 0 };
    const whole = await client.completions.create(body);
    expect(whole.choices[0]?.text).toContain("Paris");
    expect(whole.usage?.completion_tokens).toBeLessThanOrEqual(16);
    let text = "";
    for await (const chunk of await client.completions.create({ ...body, stream: true })) {
      text += chunk.choices[0]?.text;
    }
    expect(text).toBe(whole.choices[0]?.text);
  });

  test("repeats itself with a seed", async () => {
    const body = { ...week, temperature: 1, top_p: 0.95, seed: 7, max_tokens: 12, n: 2 };
    const texts = async () =>
      (await client.chat.completions.create(body)).choices.map(({ message }) => message.content);
    expect(await texts()).toEqual(await texts());
  });

  test("lists and retrieves models", async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).toEqual([MODEL]);
    expect(await client.models.retrieve(MODEL)).toMatchObject({ id: MODEL, object: "model" });
  });

  test("throws its own classes for our errors", async () => {
    const chats = client.chat.completions;
    const error = await chats.create({ ...week, temperature: 5 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({
      status: 400,
      param: "temperature",
      code: "invalid_value",
      type: "invalid_request_error",
      requestID: expect.stringMatching(/^req_/),
    });
    await expect(chats.create({ ...week, model: "gpt-4" })).rejects.toThrow(NotFoundError);
    await expect(client.models.retrieve("org/none")).rejects.toThrow(NotFoundError);
    const stranger = client.withOptions({ apiKey: "wrong" });
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
    const overflow = [{ role: "user" as const, content: "word ".repeat(2000) }];
    await expect(chats.create({ ...week, messages: overflow, stream: true })).rejects.toMatchObject(
      {
        code: "context_length_exceeded",
      },
    );
  });

  test("comes back after a cold load, as retry-after tells it", async () => {
    refusals = 1;
    await expect(client.chat.completions.create(week)).rejects.toThrow(InternalServerError);
    refusals = 1;
    const patient = client.withOptions({ maxRetries: 1 });
    const { choices } = await patient.chat.completions.create(week);
    expect(choices[0]?.message.content).toBe(WEEK);
    expect(refusals).toBeLessThan(0); // two requests came
  });

  test("is told when the queue is full", async () => {
    const many = Array.from({ length: 8 }, () =>
      client.chat.completions.create({ ...week, max_tokens: 30 }).catch((e: unknown) => e),
    );
    const answers = await Promise.all(many);
    const refused = answers.filter((answer) => answer instanceof RateLimitError);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThanOrEqual(4); // two slots, a queue of two
    await settled();
  });

  test("stops the engine when it leaves a stream, by break or by abort", async () => {
    const endless = { ...week, stream: true as const, ...{ ignore_eos: true } };
    for await (const chunk of await client.chat.completions.create(endless)) {
      if (chunk.choices[0]?.delta.content) break;
    }
    await settled();

    const stream = client.chat.completions.stream({ ...week, ...{ ignore_eos: true } });
    stream.on("content", () => stream.abort());
    await expect(stream.done()).rejects.toThrow(APIUserAbortError);
    await settled();
  });

  test("stops the engine when it leaves before a whole answer", async () => {
    const leave = new AbortController();
    const answer = client.chat.completions.create(
      { ...week, ...{ ignore_eos: true } },
      { signal: leave.signal },
    );
    while (engine.stats().busy === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    leave.abort();
    await expect(answer).rejects.toThrow(APIUserAbortError);
    await settled();
  });
});
