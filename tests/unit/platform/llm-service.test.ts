/** A model in process and behind a binding: the same requests, answers, errors, and the same end when left. */
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { connectLlm } from "../../../src/platform/cloudflare/connect-llm.ts";
import { type LlmService, spelled, writeParts } from "../../../src/platform/cloudflare/llm-wire.ts";
import { createApp } from "../../../src/server/app.ts";
import { createLlm, type Llm, type LlmPart } from "../../../src/server/llm.ts";
import { CHAT, chat, type Json, postJson } from "../server/client.ts";
import { createToy, tokenizer } from "../server/toy-engine.ts";

const REPLY = "There are seven days in a week, and then it begins again.";
const messages = [{ role: "user" as const, content: "How many days are in a week?" }];
let { engine, forwards } = createToy({ reply: REPLY, ctx: 1024 });
beforeEach(() => {
  ({ engine, forwards } = createToy({ reply: REPLY, ctx: 1024 }));
});

/** What RPC makes of a service: values are copied, errors keep their message. */
function overTheWire(llm: Llm): LlmService {
  const copied = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    try {
      return structuredClone(await spelled(work));
    } catch (error) {
      throw new Error((error as Error).message);
    }
  };
  return {
    generate: (request) => copied(() => llm.generate(structuredClone(request))),
    async stream(request) {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      await spelled(() => writeParts(llm, structuredClone(request), writable));
      return readable;
    },
    embed: (texts, options) => copied(() => llm.embed(texts, options)),
    tokenize: (text, options) => copied(() => llm.tokenize(text, options)),
    detokenize: (ids) => copied(() => llm.detokenize(ids)),
    info: () => copied(() => llm.info()),
    fetch: async () => new Response(),
  };
}

const places: [string, () => Llm][] = [
  ["in process", () => createLlm({ engine })],
  [
    "in process, of an engine that is made when it is needed",
    () => createLlm({ engine: async () => engine }),
  ],
  ["behind a binding", () => connectLlm(overTheWire(createLlm({ engine })))],
];

describe.each(places)("%s", (_, make) => {
  test("the answer is that of the HTTP API", async () => {
    const { json } = await postJson(createApp({ engine }), CHAT, chat());
    const answer = await make().generate({ messages, temperature: 0 });
    expect(answer).toMatchObject({
      text: json.choices[0].message.content,
      finish_reason: "stop",
      tool_calls: [],
      model: "toy/llama",
      system_fingerprint: json.system_fingerprint,
    });
    expect(answer.text).toBe(REPLY);
    expect(answer.usage.completion_tokens).toBe(json.usage.completion_tokens);
    expect(answer).not.toHaveProperty("logprobs");
  });

  test("a stream has the pieces, then the whole", async () => {
    const parts: LlmPart[] = [];
    for await (const part of make().stream({ messages, temperature: 0 })) parts.push(part);
    expect(parts.length).toBeGreaterThan(5);
    expect(parts.map(({ text }) => text).join("")).toBe(REPLY);
    expect(parts.map(({ answer }) => answer?.text)).toEqual([
      ...Array(parts.length - 1).fill(undefined),
      REPLY,
    ]);
  });

  test("requests of another cache_salt share no prefixes", async () => {
    const cached = async (cache_salt?: string): Promise<boolean> => {
      const salted = cache_salt === undefined ? {} : { cache_salt };
      const { usage } = await make().generate({ messages, temperature: 0, ...salted });
      return usage.prompt_tokens_details.cached_tokens > 0;
    };
    expect([await cached("a"), await cached("b")]).toEqual([false, false]);
    expect([await cached("a"), await cached("b")]).toEqual([true, true]);
    expect(await cached()).toBe(false);
  });

  test("a prompt is used as it stands", async () => {
    const { usage } = await make().generate({ prompt: "Once", max_tokens: 2 });
    expect(usage).toMatchObject({
      prompt_tokens: tokenizer.encode("Once").length,
      completion_tokens: 2,
    });
  });

  test("log-probabilities come with the pieces, and all of them at the end", async () => {
    const request = { messages, temperature: 0, max_tokens: 3, logprobs: true };
    const found: Json[] = [];
    for await (const { logprobs = [], answer } of make().stream(request)) {
      found.push(...logprobs);
      if (answer) expect(answer.logprobs).toEqual(found);
    }
    expect(found).toHaveLength(3);
  });

  test("required tools are called", async () => {
    const { tool_calls, finish_reason } = await make().generate({
      messages,
      temperature: 0,
      tools: [
        {
          type: "function",
          function: {
            name: "now",
            parameters: { type: "object", properties: {}, additionalProperties: false },
          },
        },
      ],
      tool_choice: "required",
      parallel_tool_calls: false,
      max_tokens: 100,
    });
    expect(finish_reason).toBe("tool_calls");
    expect(tool_calls).toEqual([
      { id: expect.any(String), type: "function", function: { name: "now", arguments: "{}" } },
    ]);
  });

  test("texts become vectors and tokens", async () => {
    const llm = make();
    const [a, b] = await llm.embed(["a week", "seven days"]);
    expect([a, b]).toEqual(await engine.embed(["a week", "seven days"]));
    expect(a).toBeInstanceOf(Float32Array);
    expect((await llm.embed(["a week"], { dimensions: 2 }))[0]).toHaveLength(2);
    const ids = await llm.tokenize("a week", { special: false });
    expect(ids).toEqual(tokenizer.encode("a week", { addSpecialTokens: false }));
    expect(await llm.tokenize("a week")).toEqual(tokenizer.encode("a week"));
    expect(await llm.detokenize(ids)).toBe("a week");
  });

  test("it says what it is", async () => {
    const { id: model, ctx, vocab, fingerprint } = engine.info;
    expect(await make().info()).toEqual({
      model,
      ctx,
      vocab,
      adapters: [],
      system_fingerprint: fingerprint,
    });
  });

  test.each<[string, (llm: Llm) => Promise<unknown>, string, RegExp]>([
    [
      "a value out of range",
      (llm) => llm.generate({ messages, temperature: 9 }),
      "bad_request",
      /^temperature: /,
    ],
    [
      "neither messages nor a prompt",
      (llm) => llm.generate({} as never),
      "bad_request",
      /^messages: /,
    ],
    [
      "both",
      (llm) => llm.generate({ messages, prompt: "a" } as never),
      "bad_request",
      /^prompt: .* not both/,
    ],
    ["an unknown model", (llm) => llm.generate({ messages, model: "x" }), "bad_request", /x/],
    [
      "a prompt beyond the context",
      (llm) => llm.generate({ prompt: "a b ".repeat(1000) }),
      "context_overflow",
      /^prompt: /,
    ],
    ["ids of no token", (llm) => llm.detokenize([1, -1]), "bad_request", /^ids\[1\]: /],
    [
      "dimensions beyond the model's",
      (llm) => llm.embed(["a"], { dimensions: 1e6 }),
      "bad_request",
      /^dimensions: /,
    ],
    ["texts that are none", (llm) => llm.embed("a" as never), "bad_request", /^texts: /],
  ])("%s is refused by name", async (_, ask, code, message) => {
    await expect(ask(make())).rejects.toMatchObject({
      name: "PronkError",
      code,
      message: expect.stringMatching(message),
    });
  });

  test("a stream that is left stops the model", async () => {
    for await (const { text } of make().stream({ messages, temperature: 0 })) if (text) break;
    await settled();
    const { length } = tokenizer.encode(REPLY);
    expect(forwards()).toBeLessThan(length);
    expect(engine.stats().busy).toBe(0);
  });

  test("a signal stops it, and fails who waits", async () => {
    const abort = new AbortController();
    const llm = make();
    const parts = llm.stream({ messages, temperature: 0 }, { signal: abort.signal });
    const read = async (): Promise<void> => {
      for await (const { text } of parts) if (text) abort.abort();
    };
    await expect(read()).rejects.toMatchObject({ code: "aborted" });
    await settled();
    expect(engine.stats().busy).toBe(0);
    await expect(llm.generate({ messages }, { signal: AbortSignal.abort() })).rejects.toThrow();
  });

  test("a failure in the middle ends the stream with it", async () => {
    ({ engine } = createToy({
      reply: REPLY,
      onForward: (call) => {
        if (call === 5) throw new Error("the backend broke");
      },
    }));
    let text = "";
    const read = async (): Promise<void> => {
      for await (const part of make().stream({ messages, temperature: 0 })) text += part.text;
    };
    await expect(read()).rejects.toMatchObject({ code: "engine_failed" });
    expect(text).not.toBe("");
  });
});

test("a service that goes away is told from one that refuses", async () => {
  const cut = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"text":"a"}\n{"te'));
    },
    pull(controller) {
      controller.error(new Error("Network connection lost."));
    },
  });
  const service = { ...overTheWire(createLlm({ engine })), stream: async () => cut };
  const read = async (): Promise<void> => {
    for await (const { text } of connectLlm(service).stream({ messages })) expect(text).toBe("a");
  };
  await expect(read()).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringContaining("Network connection lost."),
  });
  const ended = new Response('{"text":"a"}\n').body as ReadableStream<Uint8Array>;
  const short = { ...service, stream: async () => ended };
  await expect(connectLlm(short).generate({ messages })).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringContaining("no end"),
  });
});

/** Some turns of the engine. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

test("a signal ends the wait for a part that does not come", async () => {
  let isCancelled = false;
  const silent = new ReadableStream<Uint8Array>({
    cancel() {
      isCancelled = true;
    },
  });
  const service = { ...overTheWire(createLlm({ engine })), stream: async () => silent };
  const abort = new AbortController();
  const answer = connectLlm(service).generate({ messages }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 1);
  await expect(answer).rejects.toMatchObject({ code: "aborted" });
  expect(isCancelled).toBe(true);
});

afterAll(() => engine.dispose());
