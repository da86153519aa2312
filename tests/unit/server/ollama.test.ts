/** Ollama's API, through its own client and by hand. */
import { Ollama } from "ollama";
import { describe, expect, test } from "vitest";
import { type AppOptions, createApp } from "../../../src/server/app.ts";
import { type App, post, postJson } from "./client.ts";
import { createToy, type ToyOptions } from "./toy-engine.ts";

const SAID = "There are 7 days in a week.";
const MODEL = "toy/llama";
const messages = [{ role: "user", content: "How many days are in a week?" }];
const greedy = { temperature: 0, repeat_penalty: 1 };

function serve(toy: ToyOptions = {}, options: Partial<AppOptions> = {}) {
  const { engine } = createToy(toy);
  const app = createApp({ engine, ...options });
  const client = new Ollama({
    host: "http://pronk.test",
    fetch: async (url, init) => app.request(String(url), init),
  });
  return { engine, app, client };
}

/** The lines of a stream. */
async function lines(app: App, path: string, body: unknown) {
  const response = await post(app, path, body);
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  const text = await response.text();
  expect(text.endsWith("\n")).toBe(true);
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("/api/chat", () => {
  test("answers whole, with counts and times in nanoseconds", async () => {
    const { client } = serve();
    const answer = await client.chat({ model: MODEL, messages, options: greedy });
    expect(answer).toMatchObject({
      model: MODEL,
      message: { role: "assistant", content: SAID },
      done: true,
      done_reason: "stop",
      eval_count: createToy().replyIds.length,
    });
    expect(answer.prompt_eval_count).toBeGreaterThan(10);
    expect(answer.total_duration).toBeGreaterThanOrEqual(answer.eval_duration);
    expect(answer.eval_duration).toBeGreaterThan(1000);
    expect(Date.parse(String(answer.created_at))).toBeGreaterThan(0);
  });

  test("streams unless told otherwise, and its client reads it", async () => {
    const { client, app } = serve();
    const all = await lines(app, "/api/chat", { model: MODEL, messages, options: greedy });
    expect(all.slice(0, -1).every(({ done }) => done === false)).toBe(true);
    expect(all.length).toBe(createToy().replyIds.length);
    expect(all.map(({ message }) => message.content).join("")).toBe(SAID);
    expect(all.at(-1)).toMatchObject({ done: true, done_reason: "stop" });

    let text = "";
    const stream = await client.chat({ model: MODEL, messages, options: greedy, stream: true });
    for await (const part of stream) text += part.message.content;
    expect(text).toBe(SAID);
  });

  test("takes a model's name with the tag that clients add, and an unknown one gets 404", async () => {
    const { client } = serve();
    const answer = await client.chat({ model: `${MODEL}:latest`, messages, options: greedy });
    expect(answer.message.content).toBe(SAID);
    await expect(client.chat({ model: "gemma3", messages })).rejects.toMatchObject({
      status_code: 404,
      error: expect.stringContaining('"gemma3" is not served here'),
    });
  });

  test("honours its options", async () => {
    const { client } = serve();
    const ask = (options: object) =>
      client.chat({ model: MODEL, messages, options: { ...greedy, ...options } });
    expect(await ask({ num_predict: 2 })).toMatchObject({ done_reason: "length", eval_count: 2 });
    expect((await ask({ stop: [" days"] })).message.content).toBe("There are 7");
    expect((await ask({ num_predict: -1, num_ctx: 4096, seed: -1 })).message.content).toBe(SAID);
    const { client: dice } = serve({ random: true });
    const roll = async (seed: number) =>
      (await dice.chat({ model: MODEL, messages, options: { seed, num_predict: 8 } })).message
        .content;
    expect(await roll(1)).toBe(await roll(1));
    expect(await roll(1)).not.toBe(await roll(2));
  });

  test.each([
    ["options.temperature", { options: { temperature: 9 } }],
    ["options.mirostat", { options: { mirostat: 2 } }],
    ["options.tfs_z", { options: { tfs_z: 0.5 } }],
    ["options.num_predict", { options: { num_predict: 0 } }],
    ["think", { think: true }],
    ["format", { format: "yaml" }],
    ["format", { format: { $dynamicRef: "#x" } }],
    ["messages[0].images", { messages: [{ ...messages[0], images: ["aGk="] }] }],
    ["messages[0].role", { messages: [{ role: "robot", content: "" }] }],
  ])("refuses %s by its name: %j", async (param, fields) => {
    const { app } = serve();
    const { status, json } = await postJson(app, "/api/chat", {
      model: MODEL,
      messages,
      ...fields,
    });
    expect(status).toBe(400);
    expect(json).toEqual({ error: expect.stringContaining(`${param}: `) });
  });

  test("follows a schema, or any JSON, whatever the model would say", async () => {
    const { client } = serve({ random: true });
    const format = {
      type: "object",
      properties: { days: { type: "integer", minimum: 1, maximum: 9 } },
      required: ["days"],
    };
    const options = { num_predict: 60, seed: 3 };
    const answer = await client.chat({ model: MODEL, messages, format, options });
    expect(JSON.parse(answer.message.content).days).toBeGreaterThan(0);
    const any = await client.chat({ model: MODEL, messages, format: "json", options: { seed: 3 } });
    expect(any.message.content).toMatch(/^\{/);
  });

  test("gives log-probabilities that spell the answer", async () => {
    const { client } = serve();
    const asked = { model: MODEL, messages, options: greedy, logprobs: true, top_logprobs: 2 };
    const answer = await client.chat(asked);
    expect(answer.logprobs?.map(({ token }) => token).join("")).toBe(SAID);
    expect(answer.logprobs?.every((entry) => entry.top_logprobs?.length === 2)).toBe(true);
  });

  test("without messages it says that the model is loaded", async () => {
    const { client } = serve();
    expect(await client.chat({ model: MODEL, messages: [], keep_alive: "5m" })).toMatchObject({
      done: true,
      done_reason: "load",
      message: { content: "" },
    });
  });

  test("says in its own form that it failed, before and in the middle of a stream", async () => {
    const failing = (from: number): ToyOptions => ({
      onForward: (call) => {
        if (call >= from) throw new Error("trap");
      },
    });
    const asked = { model: MODEL, messages, options: greedy, stream: true as const };
    await expect(serve(failing(0)).client.chat(asked)).rejects.toMatchObject({ status_code: 500 });
    const all = await lines(serve(failing(4)).app, "/api/chat", asked);
    expect(all.length).toBeGreaterThan(1);
    expect(Object.keys(all.at(-1))).toEqual(["error"]);
    const read = async () => {
      for await (const _ of await serve(failing(4)).client.chat(asked));
    };
    await expect(read()).rejects.toThrow();
  });

  test("stops when the client leaves", async () => {
    const { client, engine } = serve({ ctx: 4096 });
    const stream = await client.chat({
      model: MODEL,
      messages,
      options: { ...greedy, num_predict: 4000, stop: [] },
      stream: true,
    });
    for await (const _ of stream) break;
    await expect.poll(() => engine.stats().busy).toBe(0);
  });
});

describe("tools", () => {
  const weather = {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city",
      parameters: {
        type: "object",
        properties: { city: { type: "string", enum: ["Paris", "Rome"] } },
        required: ["city"],
      },
    },
  };
  const said =
    'Let me see.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>';
  const call = { function: { name: "get_weather", arguments: { city: "Paris" } } };
  const toy: ToyOptions = { reply: said, ctx: 4096 };

  test("calls come whole, with their arguments read, whole and streamed", async () => {
    const { client } = serve(toy);
    const asked = { model: MODEL, messages, options: greedy, tools: [weather] };
    const { message } = await client.chat(asked);
    expect(message.tool_calls).toEqual([call]);
    const calls: unknown[] = [];
    let text = "";
    for await (const part of await client.chat({ ...asked, stream: true })) {
      calls.push(...(part.message.tool_calls ?? []));
      text += part.message.content;
    }
    expect(calls).toEqual([call]);
    expect(text).toBe(message.content);
  });

  test("results go back to the calls that they are of", async () => {
    const { client, engine } = serve(toy);
    const turns = [
      ...messages,
      { role: "assistant", content: "", tool_calls: [call, call] },
      { role: "tool", content: "sunny", tool_name: "get_weather" },
      { role: "tool", content: "rainy", tool_name: "get_weather" },
    ];
    const answer = await client.chat({ model: MODEL, messages: turns, options: greedy });
    expect(answer.prompt_eval_count).toBeGreaterThan(engine.tokenizer.encode("x").length);
    expect(answer.done).toBe(true);
  });
});

describe("/api/embed", () => {
  test("gives vectors of one text or several, cut where they are too long", async () => {
    const { client, engine } = serve();
    const texts = ["There are 7 days.", "Seven"];
    const vectors = await engine.embed(texts);
    const many = await client.embed({ model: MODEL, input: texts });
    expect(many.embeddings).toEqual(vectors.map((vector) => [...vector]));
    expect(many.prompt_eval_count).toBe(
      texts.reduce((sum, text) => sum + engine.tokenizer.encode(text).length, 0),
    );
    const one = await client.embed({ model: MODEL, input: texts[0]!, dimensions: 2 });
    expect(one.embeddings[0]).toHaveLength(2);
    const old = await client.embeddings({ model: MODEL, prompt: texts[1]! });
    expect(old.embedding).toEqual([...vectors[1]!]);
    const long = "seven ".repeat(400);
    expect((await client.embed({ model: MODEL, input: long })).embeddings).toHaveLength(1);
    const whole = client.embed({ model: MODEL, input: long, truncate: false });
    await expect(whole).rejects.toMatchObject({ status_code: 400 });
  });
});

describe("/api/generate", () => {
  test("answers through the chat template, whole and streamed", async () => {
    const { client, engine } = serve();
    const prompt = "How many days are in a week?";
    const whole = await client.generate({
      model: MODEL,
      prompt,
      system: "Be brief.",
      options: greedy,
    });
    expect(whole).toMatchObject({ response: SAID, done: true, done_reason: "stop" });
    const rendered = engine.template!.render([
      { role: "system", content: "Be brief." },
      { role: "user", content: prompt },
    ]);
    const ids = engine.tokenizer.encode(rendered, { addSpecialTokens: false, parseSpecial: true });
    expect(whole.prompt_eval_count).toBe(ids.length);
    let text = "";
    const stream = await client.generate({ model: MODEL, prompt, options: greedy, stream: true });
    for await (const part of stream) text += part.response;
    expect(text).toBe(SAID);
  });

  test("uses a raw prompt as it is", async () => {
    const { client, engine } = serve();
    const answer = await client.generate({
      model: MODEL,
      prompt: "Once",
      raw: true,
      options: greedy,
    });
    expect(answer.response).toBe(SAID);
    expect(answer.prompt_eval_count).toBe(engine.tokenizer.encode("Once").length);
  });

  test.each(["suffix", "template", "context", "images"])(
    "refuses %s by its name",
    async (field) => {
      const { app } = serve();
      const value = { context: [1], images: ["aGk="] }[field] ?? "x";
      const { status, json } = await postJson(app, "/api/generate", {
        model: MODEL,
        prompt: "x",
        [field]: value,
      });
      expect([status, json.error]).toEqual([400, `${field}: not supported by this server`]);
    },
  );
});

test("lists models, says what they are, and which release it is", async () => {
  const { client, app } = serve();
  const { models } = await client.list();
  expect(models).toMatchObject([{ name: MODEL, digest: "fp_toy", details: { family: "llama" } }]);
  expect((await client.ps()).models).toMatchObject([{ name: MODEL }]);
  const shown = await client.show({ model: MODEL });
  expect(shown).toMatchObject({ model_info: { "llama.context_length": 256 } });
  expect(shown.template).toContain("start_header_id");
  expect(shown.capabilities).toContain("completion");
  await expect(client.show({ model: "none" })).rejects.toMatchObject({ status_code: 404 });
  expect((await client.version()).version).toMatch(/^\d+\.\d+\.\d+$/);
  expect((await app.request("/api/chat")).status).toBe(405);
  await expect(client.delete({ model: MODEL })).rejects.toMatchObject({
    status_code: 404,
    error: "unknown URL: DELETE /api/delete",
  });
});

test("needs a key where the server has some, and is not there where it is not wanted", async () => {
  const { app } = serve({}, { auth: { keys: ["k"] } });
  const { status, json } = await postJson(app, "/api/chat", { model: MODEL, messages });
  expect([status, json]).toEqual([401, { error: "missing or unknown API key" }]);
  const { app: plain } = serve({}, { dialects: [] });
  expect((await plain.request("/api/tags")).status).toBe(404);
  expect(() => serve({}, { dialects: ["gopher" as never] })).toThrow("dialects: gopher");
});
