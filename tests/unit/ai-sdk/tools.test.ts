/** Tools and embeddings through the AI SDK, over the real engine with a toy model. */
import { embed, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { createPronk } from "../../../src/ai-sdk/index.ts";
import { createToy, type ToyOptions } from "../server/toy-engine.ts";

const prompt = "How is the weather in Paris?";
const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.enum(["Paris", "Rome"]), days: z.int().min(1).max(9) }),
  execute: async ({ city, days }) => ({ city, days, sky: "blue" }),
});

const provider = (options: ToyOptions = {}) =>
  createPronk({ engine: createToy({ ctx: 4096, ...options }).engine });

describe("tools", () => {
  test("a required call is valid, is run, and its result goes back", async () => {
    const { steps } = await generateText({
      model: provider({ random: true })(),
      prompt,
      seed: 3,
      tools: { weather },
      toolChoice: "required",
      stopWhen: stepCountIs(2),
      maxOutputTokens: 200,
    });
    expect(steps).toHaveLength(2);
    const [first, second] = steps;
    expect(first?.finishReason).toBe("tool-calls");
    const [call] = first?.toolCalls ?? [];
    expect(call).toMatchObject({ toolName: "weather", input: { days: expect.any(Number) } });
    expect(first?.toolResults[0]?.output).toMatchObject({ sky: "blue" });
    const sent = JSON.stringify(second?.request.body);
    expect(sent).toContain(call?.toolCallId);
    expect(sent).toContain('\\"sky\\":\\"blue\\"');
  });

  test("a named tool is called, in a stream with its input's parts in order", async () => {
    const result = streamText({
      model: provider({ random: true })(),
      prompt,
      seed: 4,
      tools: { weather, other: tool({ inputSchema: z.object({}) }) },
      toolChoice: { type: "tool", toolName: "weather" },
      providerOptions: { pronk: { parallel_tool_calls: false } },
      maxOutputTokens: 200,
    });
    const types: string[] = [];
    let input = "";
    for await (const part of result.fullStream) {
      if (part.type === "tool-input-delta") input += part.delta;
      if (types.at(-1) !== part.type) types.push(part.type);
    }
    expect(types.filter((type) => type.startsWith("tool"))).toEqual([
      "tool-input-start",
      "tool-input-delta",
      "tool-input-end",
      "tool-call",
      "tool-result",
    ]);
    const [call] = await result.toolCalls;
    expect(call).toMatchObject({ toolName: "weather", input: JSON.parse(input) });
    expect(await result.finishReason).toBe("tool-calls");
  });

  test("with auto the model may just answer, and with none it does", async () => {
    for (const toolChoice of ["auto", "none"] as const) {
      const { text, finishReason } = await generateText({
        model: provider()(),
        prompt,
        temperature: 0,
        tools: { weather },
        toolChoice,
      });
      expect([text, finishReason]).toEqual(["There are 7 days in a week.", "stop"]);
    }
  });
});

describe("embeddings", () => {
  test("are the engine's vectors, one or many, with the tokens that they took", async () => {
    const { engine } = createToy();
    const model = createPronk({ engine }).embeddingModel();
    const values = ["There are 7 days.", "Seven"];
    const vectors = await engine.embed(values);
    const one = await embed({ model, value: values[0]! });
    expect(one.embedding).toEqual([...vectors[0]!]);
    const many = await embedMany({ model, values });
    expect(many.embeddings).toEqual(vectors.map((vector) => [...vector]));
    const tokens = values.map((value) => engine.tokenizer.encode(value).length);
    expect(many.usage.tokens).toBe(tokens[0]! + tokens[1]!);
  });

  test("are cut to dimensions; what is wrong is said", async () => {
    const model = createPronk({ engine: createToy().engine }).embeddingModel();
    const ask = (pronk: Record<string, number | string>) =>
      embed({ model, value: "x", providerOptions: { pronk } });
    expect((await ask({ dimensions: 3 })).embedding).toHaveLength(3);
    await expect(ask({ dimensions: 100_000 })).rejects.toThrow("dimensions: ");
    await expect(ask({ dimensions: "3" })).rejects.toThrow("expected a number");
    expect((await ask({ voice: "deep" })).warnings).toHaveLength(1);
    const long = embed({ model, value: "seven ".repeat(400) });
    await expect(long).rejects.toThrow("values[0]");
  });
});
