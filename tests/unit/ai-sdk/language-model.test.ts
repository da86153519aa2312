/** The provider as the AI SDK itself uses it, over the real engine with a toy model. */
import {
  APICallError,
  createProviderRegistry,
  generateObject,
  generateText,
  type LanguageModel,
  Output,
  streamObject,
  streamText,
} from "ai";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { createPronk, type PronkProvider } from "../../../src/ai-sdk/index.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { createToy, type ToyOptions } from "../server/toy-engine.ts";

const SAID = "There are 7 days in a week.";
const prompt = "How many days are in a week?";

function provider(options: ToyOptions = {}): PronkProvider {
  return createPronk({ engine: createToy(options).engine });
}

async function listOf<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

describe("generateText", () => {
  test("gives the text with usage, finish reason and what ran it", async () => {
    const pronk = provider();
    const result = await generateText({ model: pronk(), prompt, temperature: 0 });
    expect(result.text).toBe(SAID);
    expect(result.finishReason).toBe("stop");
    expect(result.rawFinishReason).toBe("stop");
    expect(result.usage.outputTokens).toBe(createToy().replyIds.length);
    expect(result.usage.totalTokens).toBe(result.usage.inputTokens! + result.usage.outputTokens!);
    expect(result.response.modelId).toBe("toy/llama");
    expect(result.response.id).toMatch(/^chatcmpl-/);
    expect(result.providerMetadata?.pronk).toMatchObject({ system_fingerprint: "fp_toy" });
    expect(result.warnings).toEqual([]);
  });

  test("ends by length, and at stop sequences", async () => {
    const pronk = provider();
    const short = await generateText({
      model: pronk(),
      prompt,
      temperature: 0,
      maxOutputTokens: 2,
    });
    expect(short.finishReason).toBe("length");
    expect(short.usage.outputTokens).toBe(2);
    const stopped = await generateText({
      model: pronk(),
      prompt,
      temperature: 0,
      stopSequences: [" days"],
    });
    expect(stopped.text).toBe("There are 7");
    expect(stopped.finishReason).toBe("stop");
    expect(stopped.providerMetadata?.pronk).toMatchObject({ stop_reason: " days" });
  });

  test("sends system messages and turns through the chat template", async () => {
    const { engine } = createToy();
    const pronk = createPronk({ engine });
    const { usage } = await generateText({
      model: pronk(),
      system: "Be brief.",
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: [{ type: "text", text: "Hello." }] },
        { role: "user", content: [{ type: "text", text: prompt }] },
      ],
      temperature: 0,
    });
    const rendered = engine.template?.render([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello." },
      { role: "user", content: prompt },
    ]);
    const ids = engine.tokenizer.encode(rendered ?? "", {
      addSpecialTokens: false,
      parseSpecial: true,
    });
    expect(usage.inputTokens).toBe(ids.length);
  });

  test("repeats itself with a seed and takes sampling options", async () => {
    const pronk = provider({ random: true });
    const say = async (seed: number): Promise<string> =>
      (
        await generateText({
          model: pronk(),
          prompt,
          seed,
          topP: 0.9,
          topK: 40,
          presencePenalty: 0.5,
          frequencyPenalty: 0.5,
          maxOutputTokens: 12,
          providerOptions: { pronk: { min_p: 0.01 } },
        })
      ).text;
    expect(await say(7)).toBe(await say(7));
    expect(await say(7)).not.toBe(await say(8));
  });

  test("reports log-probabilities that spell the text", async () => {
    const { providerMetadata } = await generateText({
      model: provider()(),
      prompt,
      temperature: 0,
      providerOptions: { pronk: { logprobs: true, top_logprobs: 2 } },
    });
    const entries = providerMetadata?.pronk.logprobs as {
      token: string;
      top_logprobs: unknown[];
    }[];
    expect(entries.map(({ token }) => token).join("")).toBe(SAID);
    expect(entries.every(({ top_logprobs }) => top_logprobs.length === 2)).toBe(true);
  });

  test("shares prefixes with calls of the same cache_salt", async () => {
    const pronk = provider();
    const cached = async (cache_salt: string): Promise<number> => {
      const providerOptions = { pronk: { cache_salt } };
      const asked = { model: pronk(), prompt, temperature: 0, providerOptions };
      const { usage, warnings } = await generateText(asked);
      expect(warnings).toEqual([]);
      return usage.inputTokenDetails.cacheReadTokens ?? 0;
    };
    expect([await cached("a"), await cached("b")]).toEqual([0, 0]);
    expect(await cached("a")).toBeGreaterThan(0);
  });

  test("warns by name of what it leaves out, and refuses files", async () => {
    const { warnings } = await generateText({
      model: provider()(),
      prompt,
      temperature: 0,
      providerOptions: { pronk: { voice: "deep" } },
    });
    expect(warnings).toEqual([{ type: "unsupported", feature: "providerOptions.pronk.voice" }]);
    const picture = new Uint8Array([0x89, 0x50, 0x4e, 0x47]);
    const asked = generateText({
      model: provider()(),
      messages: [{ role: "user", content: [{ type: "image", image: picture }] }],
    });
    await expect(asked).rejects.toThrow("prompt[0].content[0]: a file of image/png");
  });

  test("fails as a failed call, with the field's name, and is not tried again", async () => {
    let asked = 0;
    const { engine } = createToy();
    const pronk = createPronk({
      engine: () => {
        asked++;
        return engine;
      },
      model: "toy/llama",
    });
    const error = await generateText({ model: pronk("nobody"), prompt }).catch((e: unknown) => e);
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ statusCode: 404, isRetryable: false, param: "model" });
    expect(asked).toBe(1);
  });

  test("is tried again when the queue was full", async () => {
    const { engine } = createToy({ slots: 1, maxQueue: 0 });
    const pronk = createPronk({ engine });
    const many = Array.from({ length: 2 }, () =>
      generateText({ model: pronk(), prompt, temperature: 0 }),
    );
    expect((await Promise.all(many)).map(({ text }) => text)).toEqual([SAID, SAID]);
  });

  test("stops when its signal fires, and the engine with it", async () => {
    const { engine } = createToy();
    const pronk = createPronk({ engine });
    const leave = new AbortController();
    const answer = generateText({
      model: pronk(),
      prompt,
      temperature: 0,
      abortSignal: leave.signal,
      providerOptions: { pronk: { ignore_eos: true } },
    });
    while (engine.stats().busy === 0) await new Promise((resolve) => setImmediate(resolve));
    leave.abort();
    await expect(answer).rejects.toMatchObject({ name: "AbortError" });
    await expect.poll(() => engine.stats().busy).toBe(0);
  });
});

describe("streamText", () => {
  test("gives the parts in order, a delta a token, and the same text", async () => {
    const result = streamText({
      model: provider()(),
      prompt,
      temperature: 0,
      providerOptions: { pronk: { logprobs: true } },
    });
    const parts = await listOf(result.fullStream);
    const types = parts.map(({ type }) => type).filter((type) => type !== "text-delta");
    expect(types).toEqual([
      "start",
      "start-step",
      "text-start",
      "text-end",
      "finish-step",
      "finish",
    ]);
    const deltas = parts.filter(({ type }) => type === "text-delta");
    expect(deltas.length).toBe(createToy().replyIds.length - 1);
    expect(await result.text).toBe(SAID);
    expect(await result.finishReason).toBe("stop");
    expect((await result.usage).outputTokens).toBe(createToy().replyIds.length);
    expect((await result.providerMetadata)?.pronk.logprobs).toHaveLength(deltas.length);
  });

  test("gives raw events when they are wanted", async () => {
    const { fullStream } = streamText({
      model: provider()(),
      prompt,
      temperature: 0,
      includeRawChunks: true,
    });
    const raw = (await listOf(fullStream)).filter(({ type }) => type === "raw");
    expect(raw.length).toBe(createToy().replyIds.length);
  });

  test("says that it failed in mid-stream, after what came before", async () => {
    const pronk = provider({
      onForward: (call) => {
        if (call === 4) throw new Error("trap");
      },
    });
    const errors: unknown[] = [];
    const result = streamText({
      model: pronk(),
      prompt,
      temperature: 0,
      onError: ({ error }) => {
        errors.push(error);
      },
    });
    const parts = await listOf(result.fullStream);
    expect(parts.some(({ type }) => type === "text-delta")).toBe(true);
    expect(errors).toMatchObject([{ code: "engine_failed" }]);
    expect(parts.at(-1)).toMatchObject({ type: "finish", finishReason: "error" });
  });

  test("ends with an abort when its signal fires, and frees the engine", async () => {
    const { engine } = createToy();
    const leave = new AbortController();
    const result = streamText({
      model: createPronk({ engine })(),
      prompt,
      temperature: 0,
      abortSignal: leave.signal,
      providerOptions: { pronk: { ignore_eos: true } },
      onError: () => {},
    });
    const types: string[] = [];
    for await (const { type } of result.fullStream) {
      types.push(type);
      if (type === "text-delta") leave.abort();
    }
    expect(types.at(-1)).toBe("abort");
    await expect.poll(() => engine.stats().busy).toBe(0);
  });

  test("leaves nothing on a signal that outlives it", async () => {
    const { engine } = createToy();
    const listeners = new Set<unknown>();
    const { signal } = new AbortController();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners.add(args[1]);
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners.delete(args[1]);
      remove(...args);
    };
    const model = createPronk({ engine })();
    const asked = {
      prompt: [{ role: "user" as const, content: [{ type: "text" as const, text: prompt }] }],
      temperature: 0,
      abortSignal: signal,
    };
    await model.doGenerate(asked);
    const { stream } = await model.doStream(asked);
    expect(listeners.size).toBe(1);
    await listOf(stream);
    await expect(model.doGenerate({ ...asked, temperature: 9 })).rejects.toThrow("temperature");
    expect(listeners.size).toBe(0);
  });

  test("frees the engine when the stream is left", async () => {
    const { engine } = createToy();
    const model = createPronk({ engine })();
    const { stream } = await model.doStream({
      prompt: [{ role: "user", content: [{ type: "text", text: prompt }] }],
      providerOptions: { pronk: { ignore_eos: true } },
    });
    const reader = stream.getReader();
    for (let i = 0; i < 4; i++) await reader.read();
    await reader.cancel();
    await expect.poll(() => engine.stats().busy).toBe(0);
  });
});

describe("structured output", () => {
  const schema = z.object({ days: z.number().int().min(1).max(9), ok: z.boolean() });

  test("generateObject follows a schema whatever the model would say", async () => {
    const { object, finishReason } = await generateObject({
      model: provider({ random: true })(),
      prompt,
      schema,
      seed: 3,
    });
    expect(schema.parse(object)).toEqual(object);
    expect(finishReason).toBe("stop");
  });

  test("generateText with Output.object and Output.choice do", async () => {
    const model = provider({ random: true })();
    const { output } = await generateText({
      model,
      prompt,
      seed: 4,
      output: Output.object({ schema }),
    });
    expect(schema.parse(output)).toEqual(output);
    const options = ["sun", "rain"] as const;
    const chosen = await generateText({
      model,
      prompt,
      seed: 4,
      output: Output.choice({ options: [...options] }),
    });
    expect(options).toContain(chosen.output);
  });

  test("streamObject brings partial objects and ends with a valid one", async () => {
    const result = streamObject({ model: provider({ random: true })(), prompt, schema, seed: 5 });
    const partial = await listOf(result.partialObjectStream);
    expect(partial.length).toBeGreaterThan(0);
    expect(schema.parse(await result.object)).toEqual(await result.object);
  });

  test("refuses what a schema cannot make sure of, by its name", async () => {
    const asked = generateText({
      model: provider()(),
      prompt,
      output: Output.object({
        schema: z.object({ a: z.array(z.int()).meta({ $dynamicRef: "#x" }) }),
      }),
    });
    await expect(asked).rejects.toThrow(/dynamicRef/);
  });
});

describe("a provider's models", () => {
  test("are the engine's model, and its adapters by their names", async () => {
    const { engine } = createToy({
      adapterReplies: { "models/pirate": "Arr, seven of them!" },
      openAdapter: (path) => randomLoraFolder(path),
    });
    await engine.loadAdapter("pirate", "models/pirate");
    const pronk = createPronk({ engine });
    const ask = async (model: LanguageModel): Promise<string> =>
      (await generateText({ model, prompt, temperature: 0 })).text;
    expect(await ask(pronk())).toBe(SAID);
    expect(await ask(pronk("pirate"))).toBe("Arr, seven of them!");
    const registry = createProviderRegistry({ pronk });
    expect(await ask(registry.languageModel("pronk:pirate"))).toBe("Arr, seven of them!");
    await expect(ask(pronk.languageModel("poet"))).rejects.toThrow('"poet" is not served here');
  });

  test("need a name where the engine comes later; there are none of images", () => {
    const { engine } = createToy();
    expect(() => createPronk({ engine: () => engine })()).toThrow("needed where the engine");
    expect(() => createPronk({ engine }).imageModel("x")).toThrow("there is no image model");
  });
});
