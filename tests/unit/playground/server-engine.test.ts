/** The page's engine over HTTP says what the engine itself says. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { LlmPart, LlmRequest, PlaygroundEngine } from "../../../src/playground/engine.ts";
import { openServerEngine } from "../../../src/playground/server/server-engine.ts";
import { createApp, createLlm } from "../../../src/server/app.ts";
import { createToy } from "../server/toy-engine.ts";

const REPLY = "Hello there! A week has 7 days. \u{1f999}";
const { engine } = createToy({ reply: REPLY });
const messages: LlmRequest["messages"] = [{ role: "user", content: "Say hello." }];
const never = new AbortController().signal;

afterEach(() => vi.unstubAllGlobals());

type Fetch = (url: URL, init: RequestInit) => Promise<Response> | Response;

/** The page below /llm of somebody's app, with this key. */
function open(
  app = createApp({ engine }),
  key = "",
  change: (answer: Response) => Response = (answer) => answer,
): { opened: PlaygroundEngine; refused: () => number } {
  let refused = 0;
  const fetch: Fetch = async (url, init) => {
    expect(url.pathname).toMatch(/^\/llm\//);
    const path = url.pathname.replace("/llm", "");
    return change(await app.request(path, init));
  };
  vi.stubGlobal("fetch", fetch);
  const access = { key: () => key, onRefused: () => void refused++ };
  return {
    opened: openServerEngine(new URL("http://localhost/llm/"), access),
    refused: () => refused,
  };
}

async function all(parts: AsyncIterable<LlmPart>): Promise<LlmPart[]> {
  const found: LlmPart[] = [];
  for await (const part of parts) found.push(part);
  return found;
}

test("facts are those of the model", async () => {
  const { opened } = open();
  expect(await opened.facts()).toMatchObject({
    model: "toy/llama",
    adapters: [],
    ctx: 256,
    backend: "toy",
    kernel: "script",
    kernelReason: "script: the only one",
    threads: 1,
    place: "localhost",
  });
});

describe("a chat", () => {
  const request: LlmRequest = { messages, temperature: 0, logprobs: true, top_logprobs: 2 };
  /** Without what depends on the clock, and on who asked before. */
  const lasting = ({ timings, usage, ...answer }: NonNullable<LlmPart["answer"]>): unknown => ({
    ...answer,
    usage: { ...usage, prompt_tokens_details: {} },
  });

  test("has the parts and the answer of the engine in process", async () => {
    const over = await all(open().opened.chat(request, never));
    const direct = await all(createLlm({ engine }).stream(request));
    expect(over.map(({ text }) => text).join("")).toBe(REPLY);
    expect(lasting(over.at(-1)!.answer!)).toEqual(lasting(direct.at(-1)!.answer!));
    expect(over.flatMap(({ logprobs = [] }) => logprobs)).toEqual(
      direct.flatMap(({ logprobs = [] }) => logprobs),
    );
  });

  test.each([1, 7, 1000])("is the same however the bytes come, %i at a time", async (size) => {
    const cut = (answer: Response): Response =>
      answer.body === null ? answer : new Response(answer.body.pipeThrough(pieces(size)), answer);
    const parts = await all(open(undefined, "", cut).opened.chat(request, never));
    expect(parts.at(-1)?.answer?.text).toBe(REPLY);
  });

  test("that breaks off is an error, not an answer", async () => {
    const broken = (answer: Response): Response =>
      new Response(answer.body?.pipeThrough(firstBytes(600)), answer);
    const { opened } = open(undefined, "", broken);
    await expect(all(opened.chat(request, never))).rejects.toMatchObject({ code: "source_failed" });
  });

  test("ends when it is aborted", async () => {
    const abort = new AbortController();
    const chat = async (): Promise<void> => {
      for await (const part of open().opened.chat(request, abort.signal)) {
        if (part.text !== "") abort.abort();
      }
    };
    await expect(chat()).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("a refusal has the engine's code and words", () => {
  test.each<[string, Partial<LlmRequest>, string, RegExp]>([
    [
      "a prompt that is too long",
      { messages: [{ role: "user", content: "word ".repeat(500) }] },
      "context_overflow",
      /256/,
    ],
    ["a field out of range", { temperature: 9 }, "bad_request", /temperature/],
    ["a model that is not there", { model: "other" }, "not_found", /other/],
  ])("%s", async (_, change, code, message) => {
    const { opened } = open();
    await expect(
      all(opened.chat({ messages, ...change } as LlmRequest, never)),
    ).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test("a server that cannot be reached", async () => {
    const { opened } = open();
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(opened.facts()).rejects.toMatchObject({ code: "source_failed" });
  });

  test("a proxy's own page", async () => {
    const { opened } = open(undefined, "", () => new Response("<h1>502</h1>", { status: 502 }));
    await expect(opened.facts()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("502"),
    });
  });
});

describe("a server with keys", () => {
  const keyed = createApp({ engine, auth: { keys: ["secret"] } });

  test.each(["", "wrong"])("refuses %j, and the page learns of it", async (key) => {
    const { opened, refused } = open(keyed, key);
    await expect(opened.facts()).rejects.toMatchObject({ code: "bad_request" });
    expect(refused()).toBe(1);
  });

  test("answers who has one", async () => {
    const { opened, refused } = open(keyed, "secret");
    expect((await opened.facts()).model).toBe("toy/llama");
    expect((await all(opened.chat({ messages }, never))).at(-1)?.answer).toBeDefined();
    expect(refused()).toBe(0);
  });
});

test("tokens come with their places", async () => {
  const text = "A week has 7 days.";
  const pieces = await open().opened.tokenize(text);
  const inText = pieces.filter(({ start, end }) => end > start);
  expect(inText.map(({ start, end }) => text.slice(start, end)).join("")).toBe(text);
});

test("the attention mask is causal, of the text's own tokens", async () => {
  const { tokens, mask } = await open().opened.attentionMask("A week has 7 days.");
  expect(tokens.length).toBeGreaterThan(3);
  for (const [i, row] of mask.entries()) {
    expect(row).toEqual(tokens.map((_, j) => j <= i));
  }
});

function pieces(size: number): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, out) {
      for (let i = 0; i < chunk.length; i += size) out.enqueue(chunk.subarray(i, i + size));
    },
  });
}

function firstBytes(count: number): TransformStream<Uint8Array, Uint8Array> {
  let left = count;
  return new TransformStream({
    transform(chunk, out) {
      if (left > 0) out.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
    },
  });
}
