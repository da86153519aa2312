/** Tools through the `openai` package and a real model: raw streams, its stream helper and its runner of tools. */
import OpenAI from "openai";
import type { ChatCompletionMessageParam, ChatCompletionTool } from "openai/resources";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { createEngine } from "../../src/platform/node/index.ts";
import { createApp } from "../../src/server/app.ts";
import { chanceOf } from "../support/random-schemas.ts";
import { randomTools, validatorOf } from "../support/random-tools.ts";
import { modelPath } from "../support/smollm2.ts";

const model = "smollm2-135m-instruct";
let engine: Engine;
let server: Awaited<ReturnType<typeof nodeHost.serve>>;
let client: OpenAI;

beforeAll(async () => {
  if (!modelPath) return;
  engine = await createEngine(modelPath, { id: model, ctx: 2048, slots: 2 });
  server = await nodeHost.serve(createApp({ engine }).fetch, { hostname: "127.0.0.1", port: 0 });
  client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: "x",
    maxRetries: 0,
    timeout: 180_000,
  });
}, 120_000);

afterAll(async () => {
  await server?.close();
  await engine?.dispose();
});

const parameters = {
  type: "object",
  properties: {
    city: { type: "string", description: "The city", maxLength: 30 },
    unit: { enum: ["celsius", "fahrenheit"] },
    days: { type: "array", items: { type: "integer", minimum: 1, maximum: 7 }, maxItems: 3 },
  },
  required: ["city", "unit"],
  additionalProperties: false,
};
const weather: ChatCompletionTool = {
  type: "function",
  function: { name: "get_weather", description: "The weather of a city", parameters },
};
const now: ChatCompletionTool = {
  type: "function",
  function: { name: "get_time", description: "The time of day" },
};
const isWeather = validatorOf(parameters);
const tools = [weather, now];
const messages: ChatCompletionMessageParam[] = [
  { role: "user", content: "What is the weather in Paris?" },
];

function checkCall(name: string, given: string): void {
  if (name === "get_time") expect(JSON.parse(given)).toEqual({});
  else
    expect([name, JSON.parse(given), isWeather(JSON.parse(given))]).toEqual([
      "get_weather",
      expect.anything(),
      true,
    ]);
}

describe.skipIf(!modelPath)("the openai client", { timeout: 360_000 }, () => {
  test.each(["required", { type: "function", function: { name: "get_weather" } }] as const)(
    "gets calls that are valid with tool_choice %j, whole and streamed",
    async (tool_choice) => {
      for (const temperature of [0, 1.5]) {
        const body = { model, messages, tools, tool_choice, temperature, seed: 3, max_tokens: 400 };
        const whole = await client.chat.completions.create({ ...body, parallel_tool_calls: false });
        const [choice] = whole.choices;
        expect(choice!.finish_reason).toBe("tool_calls");
        expect(choice!.message.content).toBeNull();
        const [call] = choice!.message.tool_calls!;
        if (call?.type !== "function") throw new Error("no function was called");
        checkCall(call.function.name, call.function.arguments);

        const stream = client.chat.completions.stream({ ...body, parallel_tool_calls: false });
        const deltas: string[] = [];
        stream.on("tool_calls.function.arguments.delta", (event) => {
          deltas.push(event.arguments_delta);
        });
        const final = await stream.finalChatCompletion();
        expect(final.choices[0]!.message.tool_calls).toEqual([
          { ...call, id: expect.any(String), function: expect.objectContaining(call.function) },
        ]);
        expect(deltas.join("")).toBe(call.function.arguments);
        expect(deltas.length).toBeGreaterThan(1);
      }
    },
  );

  test("gets the deltas of raw streams in their order", async () => {
    const stream = await client.chat.completions.create({
      ...{ model, messages, tools, tool_choice: "required", parallel_tool_calls: false },
      ...{ temperature: 0, stream: true, max_tokens: 200 },
    });
    const deltas = [];
    for await (const { choices } of stream) deltas.push(choices[0]!);
    expect(deltas[0]!.delta).toEqual({ role: "assistant", content: null });
    expect(deltas[1]!.delta.tool_calls).toEqual([
      {
        index: 0,
        id: expect.stringMatching(/^call_/),
        type: "function",
        function: { name: expect.any(String), arguments: "" },
      },
    ]);
    for (const { delta } of deltas.slice(2, -1)) {
      expect(delta.tool_calls).toEqual([{ index: 0, function: { arguments: expect.any(String) } }]);
    }
    expect(deltas.at(-1)).toMatchObject({ delta: {}, finish_reason: "tool_calls" });
  });

  test("runs tools, whose results come back", async () => {
    const seen: unknown[] = [];
    const runner = client.chat.completions.runTools(
      {
        ...{ model, messages, temperature: 0, max_tokens: 100, parallel_tool_calls: false },
        tool_choice: "required",
        tools: [
          {
            type: "function",
            function: {
              name: "get_weather",
              description: "The weather of a city",
              parameters,
              parse: (given: string): unknown => JSON.parse(given),
              function: (given: unknown) => {
                seen.push(given);
                return "21 degrees and sunny";
              },
            },
          },
        ],
      },
      { maxChatCompletions: 2 },
    );
    await runner.done();
    expect(seen).toHaveLength(2);
    for (const given of seen) expect([given, isWeather(given)]).toEqual([given, true]);
    expect(runner.messages.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "tool",
      "assistant",
      "tool",
    ]);
  });

  test("chats on with results, and is answered in words", async () => {
    const first = await client.chat.completions.create({
      ...{ model, messages, tools, tool_choice: "required", parallel_tool_calls: false },
      ...{ temperature: 0, max_tokens: 200 },
    });
    const [call] = first.choices[0]!.message.tool_calls!;
    const second = await client.chat.completions.create({
      ...{ model, tools, tool_choice: "none", temperature: 0, max_tokens: 40 },
      messages: [
        ...messages,
        first.choices[0]!.message,
        { role: "tool", tool_call_id: call!.id, content: "It is 21 degrees in Paris." },
      ],
    });
    expect(second.choices[0]!.message.content).toContain("21 degrees");
    expect(second.choices[0]!.message.tool_calls).toBeUndefined();
  });

  test("gets either words or valid calls with auto", async () => {
    // A small model calls where it has seen how.
    const example = (id: string, city: string): ChatCompletionMessageParam[] => [
      { role: "user", content: `What is the weather in ${city}?` },
      {
        role: "assistant",
        content: null,
        tool_calls: [
          {
            ...{ id, type: "function" },
            function: { name: "get_weather", arguments: `{"city":"${city}","unit":"celsius"}` },
          },
        ],
      },
      { role: "tool", tool_call_id: id, content: `sunny in ${city}` },
      { role: "assistant", content: `It is sunny in ${city}.` },
    ];
    const shown = [...example("a", "Oslo"), ...example("b", "Bonn"), ...messages];
    let called = 0;
    for (const [temperature, seed] of [
      [0, 1],
      [1.5, 2],
      [1.5, 3],
      [1.5, 4],
    ] as const) {
      const body = { model, messages: shown, tools, temperature, seed, max_tokens: 100 };
      const { choices } = await client.chat.completions.create(body);
      const { message, finish_reason } = choices[0]!;
      if (finish_reason === "length") continue;
      expect(finish_reason).toBe(message.tool_calls ? "tool_calls" : "stop");
      for (const call of message.tool_calls ?? []) {
        if (call.type !== "function") throw new Error("no function was called");
        checkCall(call.function.name, call.function.arguments);
        called++;
      }
    }
    expect(called).toBeGreaterThan(0);
  });

  test("gets arguments of any schema, valid at temperature 1.5", async () => {
    let ended = 0;
    for (let seed = 0; seed < 6; seed++) {
      const random = randomTools(chanceOf(seed * 6151 + 7));
      const body = { model, messages, tools: random, tool_choice: "required" as const };
      const limits = { temperature: 1.5, seed, max_tokens: 150, parallel_tool_calls: false };
      let stream: Awaited<ReturnType<typeof create>>;
      const create = () =>
        client.chat.completions.create({ ...body, ...limits, stream: true as const });
      try {
        stream = await create();
      } catch (error) {
        // Some ask for what no value is.
        expect(String(error)).toMatch(/no value|itself|no text/);
        continue;
      }
      let [name, given, finish] = ["", "", ""];
      for await (const { choices } of stream) {
        const piece = choices[0]!.delta.tool_calls?.[0]?.function;
        name += piece?.name ?? "";
        given += piece?.arguments ?? "";
        finish = choices[0]!.finish_reason ?? finish;
      }
      if (finish === "length") continue;
      expect(finish).toBe("tool_calls");
      const { parameters: schema } = random.find((tool) => tool.function.name === name)!.function;
      const validate = validatorOf(schema);
      const isValid = validate(JSON.parse(given));
      expect([isValid ? true : [schema, given, validate.errors]]).toEqual([true]);
      ended++;
    }
    expect(ended).toBeGreaterThan(1);
  });
});
