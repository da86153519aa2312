/** /v1/responses without a stream: what goes in, what comes out, what is refused. */
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { type App, CHAT, chat, type Json, post, postJson } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const RESPONSES = "/v1/responses";
const REPLY = "There are 7 days in a week.";
const QUESTION = "How many days are in a week?";
const toy = createToy();
const app = createApp({ engine: toy.engine });
const ask = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: "toy/llama",
  input: QUESTION,
  temperature: 0,
  ...fields,
});
const respond = async (fields: Record<string, unknown> = {}, to: App = app): Promise<Json> => {
  const { status, json } = await postJson(to, RESPONSES, ask(fields));
  expect(json.error ?? null).toBe(null);
  expect(status).toBe(200);
  return json;
};
const refusal = async (fields: Record<string, unknown>, to: App = app): Promise<Json> => {
  const { status, json } = await postJson(to, RESPONSES, ask(fields));
  return { status, ...json.error };
};
/** What chat counts for messages: the reference for what a prompt was made of. */
const promptTokens = async (messages: unknown[], fields = {}): Promise<number> => {
  const { json } = await postJson(app, CHAT, chat({ messages, max_tokens: 1, ...fields }));
  return json.usage.prompt_tokens;
};
const user = { role: "user", content: QUESTION };
const said = { role: "assistant", content: REPLY };

/** The contract's list; the first 14 are what OpenAI itself requires. */
const KEYS = [
  ...["id", "object", "created_at", "incomplete_details", "model", "instructions", "output"],
  ...["error", "tools", "tool_choice", "parallel_tool_calls", "top_p", "temperature", "metadata"],
  ...["completed_at", "status", "previous_response_id", "truncation", "text", "presence_penalty"],
  ...["frequency_penalty", "top_logprobs", "reasoning", "user", "usage", "max_output_tokens"],
  ...["max_tool_calls", "store", "background", "service_tier", "safety_identifier"],
  "prompt_cache_key",
];

describe("a response", () => {
  test("has the 32 keys of the schemas, and no other", async () => {
    expect(KEYS).toHaveLength(32);
    expect(Object.keys(await respond()).sort()).toEqual(KEYS.toSorted());
  });

  test("is one message, with what it cost", async () => {
    const response = await respond();
    const { id } = response;
    expect(id).toMatch(/^resp_[0-9a-f]{32}$/);
    expect(response).toMatchObject({
      object: "response",
      status: "completed",
      error: null,
      incomplete_details: null,
      model: "toy/llama",
      instructions: null,
      previous_response_id: null,
      tools: [],
      tool_choice: "auto",
      truncation: "disabled",
      parallel_tool_calls: true,
      text: { format: { type: "text" } },
      temperature: 0,
      top_p: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      top_logprobs: 0,
      reasoning: { effort: null, summary: null },
      user: null,
      max_output_tokens: null,
      max_tool_calls: null,
      store: true,
      background: false,
      service_tier: "default",
      metadata: {},
      safety_identifier: null,
      prompt_cache_key: null,
    });
    expect(Number.isInteger(response.created_at)).toBe(true);
    expect(response.completed_at).toBeGreaterThanOrEqual(response.created_at);
    expect(response.output).toEqual([
      {
        type: "message",
        id: id.replace("resp_", "msg_").concat("_0"),
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: REPLY, annotations: [], logprobs: [] }],
      },
    ]);
    const input_tokens = await promptTokens([user]);
    expect(response.usage).toEqual({
      input_tokens,
      input_tokens_details: { cached_tokens: expect.any(Number), cache_write_tokens: 0 },
      output_tokens: toy.replyIds.length,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input_tokens + toy.replyIds.length,
    });
  });

  test("repeats what was asked", async () => {
    const asked = {
      instructions: "Be brief.",
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: -0.1,
      max_output_tokens: 100,
      max_tool_calls: 3,
      parallel_tool_calls: false,
      truncation: "auto",
      metadata: { a: "b" },
      user: "u",
      safety_identifier: "s",
      prompt_cache_key: "p",
      store: false,
      top_logprobs: 2,
    };
    expect(await respond({ ...asked, reasoning: { effort: "low" } })).toMatchObject(asked);
  });

  test("takes null for what is not set, and fields that it does not know", async () => {
    const nulls = Object.fromEntries(
      [...KEYS, "include", "stream", "conversation", "seed"]
        .filter((key) => !["model", "output", "object", "id"].includes(key))
        .map((key) => [key, null]),
    );
    const response = await respond({ ...nulls, text: {}, wow: 1 });
    expect(response.output[0].content[0].text).toBeTypeOf("string");
    expect(response.temperature).toBe(1);
  });

  test("is timed", async () => {
    const { headers } = await postJson(app, RESPONSES, ask());
    expect(headers.get("server-timing")).toMatch(/^queue;dur=.*decode;dur=/);
  });

  test("is incomplete where its limit ended it", async () => {
    const long = createApp({
      engine: createToy({ reply: "One word after the other. ".repeat(5) }).engine,
    });
    const response = await respond({ max_output_tokens: 16 }, long);
    expect(response).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      completed_at: null,
      usage: { output_tokens: 16 },
      output: [{ status: "incomplete" }],
    });
  });

  test("has log-probabilities where include asks for them, as chat has them", async () => {
    const fields = { include: ["message.output_text.logprobs", "other"], top_logprobs: 2 };
    const [{ logprobs }] = (await respond(fields)).output[0].content;
    const { json } = await postJson(app, CHAT, chat({ logprobs: true, top_logprobs: 2 }));
    expect(logprobs.map(({ token }: Json) => token).join("")).toBe(REPLY);
    expect(logprobs).toEqual(json.choices[0].logprobs.content);
    const [plain] = (await respond({ include: ["message.output_text.logprobs"] })).output[0]
      .content;
    expect(plain.logprobs[0].top_logprobs).toEqual([]);
  });

  test("takes the extensions of chat", async () => {
    const text = async (fields: Record<string, unknown>) =>
      (await respond(fields)).output[0].content[0].text;
    expect(await text({ stop: [" in"] })).toBe("There are 7 days");
    expect(await text({ guided_choice: ["Seven", "Six"] })).toMatch(/^(Seven|Six)$/);
    expect((await refusal({ mirostat: 2 })).param).toBe("mirostat");
  });
});

describe("the input", () => {
  test.each<[string, unknown, unknown[]]>([
    ["a message without a type", [user], [user]],
    ["a message with one", [{ type: "message", ...user }], [user]],
    [
      "parts of text",
      [
        {
          role: "user",
          content: [
            { type: "input_text", text: "a" },
            { type: "input_text", text: "b" },
          ],
        },
      ],
      [{ role: "user", content: "a\nb" }],
    ],
    [
      "answers written back",
      [
        user,
        {
          type: "message",
          id: "msg_1",
          status: "completed",
          role: "assistant",
          content: [{ type: "output_text", text: REPLY, annotations: [], logprobs: [] }],
        },
        user,
      ],
      [user, said, user],
    ],
    [
      "what was refused",
      [user, { role: "assistant", content: [{ type: "refusal", refusal: "No." }] }, user],
      [user, { role: "assistant", content: "No." }, user],
    ],
    [
      "system and developer messages",
      [{ role: "developer", content: "Be brief." }, user],
      [{ role: "system", content: "Be brief." }, user],
    ],
    [
      "thoughts, which are left out",
      [{ type: "reasoning", id: "rs_1", summary: [] }, user],
      [user],
    ],
  ])("may be %s", async (_, input, messages) => {
    const { usage } = await respond({ input });
    expect(usage.input_tokens).toBe(await promptTokens(messages));
  });

  test("has the instructions in front, as a system message", async () => {
    const { usage } = await respond({ instructions: "Be brief." });
    const system = { role: "system", content: "Be brief." };
    expect(usage.input_tokens).toBe(await promptTokens([system, user]));
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["no model", { model: undefined }, "model"],
    ["no input", { input: undefined }, "input"],
    ["an empty list", { input: [] }, "input"],
    ["a number", { input: 5 }, "input"],
    ["a role that there is not", { input: [{ role: "tool", content: "a" }] }, "input[0].role"],
    ["a message without content", { input: [user, { role: "user" }] }, "input[1].content"],
    [
      "an image",
      { input: [{ role: "user", content: [{ type: "input_image", image_url: "data:," }] }] },
      "input[0].content[0]",
    ],
    [
      "a file behind a text",
      {
        input: [
          user,
          { role: "user", content: [{ type: "input_text", text: "a" }, { type: "input_file" }] },
        ],
      },
      "input[1].content[1]",
    ],
    [
      "a call of a tool of OpenAI's",
      { input: [user, { type: "web_search_call", id: "ws_1" }] },
      "input[1]",
    ],
    ["an item of no known kind", { input: [{ type: "wow" }] }, "input[0].type"],
    [
      "a call without a name",
      { input: [{ type: "function_call", call_id: "c" }] },
      "input[0].name",
    ],
    ["too much", { input: "word ".repeat(300) }, "input"],
    [
      "too long a message among others",
      { input: [user, { ...user, content: "a ".repeat(300) }] },
      "input",
    ],
    ["too many instructions", { instructions: "word ".repeat(300) }, "input"],
    ["a temperature beyond 2", { temperature: 2.5 }, "temperature"],
    ["less than 16 tokens", { max_output_tokens: 15 }, "max_output_tokens"],
    ["21 alternatives", { top_logprobs: 21 }, "top_logprobs"],
    ["background", { background: true }, "background"],
    ["a conversation", { conversation: "conv_1" }, "conversation"],
    ["a stored prompt", { prompt: { id: "pmpt_1" } }, "prompt"],
    ["a truncation that there is not", { truncation: "middle" }, "truncation"],
    ["a tool of OpenAI's", { tools: [{ type: "web_search" }] }, "tools[0]"],
    [
      "a schema that is none",
      { text: { format: { type: "json_schema", name: "a", schema: "x" } } },
      "text.format.schema",
    ],
    [
      "a schema that cannot be followed",
      { text: { format: { type: "json_schema", name: "a", schema: { not: {} } } } },
      "text.format",
    ],
    ["no schema", { text: { format: { type: "json_schema", name: "a" } } }, "text.format.schema"],
    [
      "a grammar beside a format",
      { text: { format: { type: "json_object" } }, grammar: 'root ::= "a"' },
      "grammar",
    ],
    [
      "17 pairs of metadata",
      { metadata: Object.fromEntries([...Array(17).keys()].map((i) => [i, ""])) },
      "metadata",
    ],
  ])("with %s is refused by the field's name", async (_, fields, param) => {
    const error = await refusal(fields);
    expect(error).toMatchObject({ status: 400, param, type: "invalid_request_error" });
    expect(error.message).toMatch(/^[a-z_]+[[.: ]/);
  });

  test("that is too long says so as chat does, by its own name", async () => {
    const error = await refusal({ input: "word ".repeat(300) });
    expect(error.code).toBe("context_length_exceeded");
    expect(error.message).toMatch(/^input: the prompt's \d+ tokens/);
  });

  test("for a model that is not served is refused", async () => {
    expect(await refusal({ model: "gpt-5" })).toMatchObject({
      status: 404,
      code: "model_not_found",
      param: "model",
    });
  });
});

describe("text.format", () => {
  const schema = {
    type: "object",
    properties: { days: { type: "integer" } },
    required: ["days"],
    additionalProperties: false,
  };

  test("json_schema is followed, and repeated with every key", async () => {
    const random = createApp({ engine: createToy({ random: true }).engine });
    const format = { type: "json_schema", name: "days", schema, strict: true };
    const response = await respond({ text: { format }, temperature: 1, seed: 3 }, random);
    const { text } = response.output[0].content[0];
    if (response.status === "completed") {
      expect(Object.keys(JSON.parse(text))).toEqual(["days"]);
    } else {
      expect(text).toMatch(/^\{/);
    }
    expect(response.text).toEqual({ format: { ...format, description: null } });
  });

  test("json_object is followed", async () => {
    const response = await respond({ text: { format: { type: "json_object" } } });
    expect(response.output[0].content[0].text).toMatch(/^\s*\{/);
    expect(response.text).toEqual({ format: { type: "json_object" } });
  });
});

describe("truncation", () => {
  /** About a quarter of the context each. */
  const turn = (name: string) => [
    { role: "user", content: `${name}: ${"word ".repeat(14)}` },
    { role: "assistant", content: `Yes, ${name}.` },
  ];
  const input = [
    { role: "system", content: "Be brief." },
    ...["one", "two", "three", "four", "five"].flatMap(turn),
    { role: "user", content: "And now?" },
  ];

  test("auto leaves the oldest turns out, until a quarter of the context is free", async () => {
    expect((await refusal({ input })).code).toBe("context_length_exceeded");
    const { usage, id } = await respond({ input, truncation: "auto" });
    expect(usage.input_tokens).toBeLessThanOrEqual(192);
    const { data } = await (
      await app.request(`/v1/responses/${id}/input_items?order=asc&limit=100`)
    ).json();
    const kept = data.map(({ content: [{ text }] }: Json) => text);
    expect(kept[0]).toBe("Be brief.");
    expect(kept.at(-1)).toBe("And now?");
    // Whole turns from the end, and as many as there is room for.
    const inputs = input.map(({ content }) => content);
    const rest = inputs.slice(inputs.length - (kept.length - 1));
    expect(kept.slice(1)).toEqual(rest);
    expect(data[1].role).toBe("user");
    const more = [input[0], ...input.slice(input.length - (kept.length - 1) - 2)];
    expect(await promptTokens(more as unknown[])).toBeGreaterThan(192);
    expect(usage.input_tokens).toBe(
      await promptTokens([input[0], ...input.slice(input.length - (kept.length - 1))]),
    );
  });

  test("auto keeps as many turns as there is room for", async () => {
    for (let count = 6; count <= 14; count++) {
      const many = Array.from({ length: count }, (_, i) => turn(`turn ${i}`)).flat();
      const { usage } = await respond({ input: [...many, user], truncation: "auto" });
      const fits: number[] = [];
      for (let from = 0; from < count; from++) {
        const tokens = await postJson(app, "/v1/responses/input_tokens", {
          input: [...many.slice(2 * from), user],
        });
        const { input_tokens } = tokens.json;
        if (input_tokens <= 192) fits.push(input_tokens);
      }
      expect(usage.input_tokens).toBe(Math.max(...fits));
    }
  });

  test("auto leaves alone what fits", async () => {
    const { usage } = await respond({ truncation: "auto" });
    expect(usage.input_tokens).toBe(await promptTokens([user]));
  });

  test("auto refuses what does not fit even alone", async () => {
    const one = [...input, { role: "user", content: "word ".repeat(200) }];
    expect(await refusal({ input: one, truncation: "auto" })).toMatchObject({
      status: 400,
      code: "context_length_exceeded",
    });
  });
});

describe("POST /v1/responses/input_tokens", () => {
  const count = (body: unknown) => postJson(app, "/v1/responses/input_tokens", body);

  test("counts what the same request's prompt would be", async () => {
    const fields = { input: [user, said, user], instructions: "Be brief." };
    const { usage } = await respond(fields);
    expect((await count({ model: "toy/llama", ...fields })).json).toEqual({
      object: "response.input_tokens",
      input_tokens: usage.input_tokens,
    });
    expect((await count(fields)).json.input_tokens).toBe(usage.input_tokens);
  });

  test("counts what a response goes on from", async () => {
    const { id } = await respond();
    const { json } = await count({ input: QUESTION, previous_response_id: id });
    expect(json.input_tokens).toBe(await promptTokens([user, said, user]));
  });

  test("refuses as POST /v1/responses does", async () => {
    expect((await count({})).json.error.param).toBe("input");
    expect((await count({ input: "a", model: "other" })).status).toBe(404);
  });
});

test("other methods are refused with those that there are", async () => {
  const response = await app.request(RESPONSES);
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")).toBe("POST, OPTIONS");
  expect((await post(app, `${RESPONSES}/resp_1`, {})).status).toBe(405);
});
