/** Engine objects in a real workerd, with a small model: conversations, ends in mid-stream, restarts, limits. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packModel } from "../../../src/engine/pack-model.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { type EngineObjects, startEngineObjects } from "../../support/engine-objects.ts";
import { memoryFolder } from "../pack/memory-folder.ts";

const PATH = "tests/goldens/tokenizers/tok_bpe.gguf";
const TIMEOUT_MS = 60_000;

const pack = memoryFolder("pack");
let folder: string;
let objects: EngineObjects;
const start = async (): Promise<void> => {
  objects = await startEngineObjects(pack.objects, { objects: 3, folder });
};
beforeAll(async () => {
  const gguf = [memorySource(new Uint8Array(readFileSync(PATH)), PATH)];
  await packModel({ gguf }, pack, { id: "tiny" });
  folder = await mkdtemp(join(tmpdir(), "pronk-objects-"));
  await start();
}, 120_000);
afterAll(async () => {
  await objects?.close();
  await rm(folder, { recursive: true, force: true });
});

const ALL = ["engine-0-0", "engine-0-1", "engine-0-2"];

const chat = (body: object, signal?: AbortSignal): Promise<Response> =>
  fetch(`${objects.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", ignore_eos: true, max_tokens: 100, ...body }),
    signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])]),
  });

const user = (content: string): object[] => [{ role: "user", content }];

/** Events as they come, as text; `seen` is called with each. */
async function read(response: Response, seen?: (count: number) => Promise<void> | void) {
  if (response.status !== 200) throw new Error(await response.text());
  const events: string[] = [];
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      events.push(part.replace(/^data: /, ""));
      await seen?.(events.length);
    }
  }
  return events;
}

/** Without what differs from answer to answer: ids, moments, times, and tokens that came from a cache. */
const comparable = (events: readonly string[]): unknown[] =>
  events
    .filter((event) => event.startsWith("{"))
    .map((event) => {
      const { id, created, timings, usage, ...rest } = JSON.parse(event);
      return rest;
    });

const schema = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 60 },
    tags: { type: "array", items: { enum: ["a", "b"] }, minItems: 8, maxItems: 9 },
  },
  required: ["name", "tags"],
  additionalProperties: false,
};
const kinds: [string, object][] = [
  ["greedy", { temperature: 0 }],
  ["sampled", { temperature: 1, seed: 7, top_p: 0.9 }],
  [
    "with penalties",
    { seed: 8, frequency_penalty: 1, repetition_penalty: 1.2, logit_bias: { 9: 2 } },
  ],
  [
    "under a grammar",
    {
      seed: 9,
      ignore_eos: false,
      max_tokens: 120,
      response_format: { type: "json_schema", json_schema: { name: "x", schema } },
    },
  ],
];

describe.each(kinds)("a stream whose engine object is ended, %s", (_, fields) => {
  test.each(["kill", "evict"] as const)("goes on byte by byte: %s", async (how) => {
    const body = { messages: user("Tell me about the llama."), stream: true, ...fields };
    const expected = await read(await chat(body));
    let isAskedAgain = false;
    // On a busy machine a stream can be over before its object is told to end.
    for (let attempt = 0; attempt < 5 && !isAskedAgain; attempt++) {
      const { requests } = await objects.state("engine-0-0");
      const events = await read(await chat(body), async (count) => {
        if (count !== 5 && count !== 12) return;
        await Promise.all(ALL.map((name) => objects.end(name, how)));
      });
      expect(comparable(events)).toEqual(comparable(expected));
      expect(events.at(-1)).toBe("[DONE]");
      // Of the same memory or of a new one.
      const after = await objects.state("engine-0-0");
      isAskedAgain = after.requests! > (how === "kill" ? requests! + 1 : 0);
    }
    expect(isAskedAgain).toBe(true);
  });
});

/** The object that holds a conversation's turns. */
async function keeperOf(messages: object[]): Promise<string> {
  const turns = async (): Promise<number[]> =>
    Promise.all(ALL.map(async (name) => (await objects.state(name)).turns!));
  const before = await turns();
  await (await chat({ messages, max_tokens: 60 })).text();
  for (let i = 0; i < 100; i++) {
    const now = await turns();
    const found = now.findIndex((count, n) => count > before[n]!);
    if (found >= 0) return ALL[found]!;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("no object keeps it");
}

test("conversations spread over the objects, and each keeps to its own", async () => {
  const keepers = new Set<string>();
  for (let i = 0; i < 8; i++)
    keepers.add(await keeperOf(user(`This is conversation ${i} of all.`)));
  expect(keepers.size).toBeGreaterThan(1);
  const messages = user("What does the llama eat on the mountain?");
  const keeper = await keeperOf(messages);
  const others = ALL.filter((name) => name !== keeper);
  const turns = (): Promise<unknown[]> =>
    Promise.all(others.map(async (name) => (await objects.state(name)).turns));
  const before = await turns();
  const first = await (await chat({ messages, seed: 1 })).json();
  const again = [...messages, first.choices[0].message, ...user("And then?")];
  const second = await (await chat({ messages: again, seed: 2 })).json();
  const { cached_tokens } = second.usage.prompt_tokens_details;
  expect(cached_tokens).toBeGreaterThanOrEqual(first.usage.prompt_tokens);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await turns()).toEqual(before);
});

test("a finished turn is restored after the model and the process are gone, to the same answer", async () => {
  const messages = user(
    "Where does the river that the llama drinks from begin, and where does it end?",
  );
  const first = await (await chat({ messages, temperature: 0 })).json();
  const turns = [...messages, first.choices[0].message, ...user("Go on.")];
  const expected = await (await chat({ messages: turns, temperature: 0 })).json();
  await objects.close();
  await start();
  const restored = await (await chat({ messages: turns, temperature: 0 })).json();
  expect(restored.choices).toEqual(expected.choices);
  const { cached_tokens } = restored.usage.prompt_tokens_details;
  expect(cached_tokens).toBeGreaterThan(first.usage.prompt_tokens);
  const states = await Promise.all(ALL.map((name) => objects.state(name)));
  expect(Math.max(...states.map(({ row }) => row!))).toBeLessThan(1_900_000);
  // Computed were the rest and the answer alone.
  const read = states[0]!.prompt_tokens! - states[0]!.cached_tokens!;
  expect(read).toBe(restored.usage.prompt_tokens - cached_tokens);
});

test("of a conversation that two keys have, each is given its own turns back, from slot and storage", async () => {
  const own = join(folder, "keyed");
  const bindings = { PRONK_API_KEYS: "alice-key,bob-key" };
  let keyed = await startEngineObjects(pack.objects, { folder: own, bindings });
  try {
    const ask = async (key: string, messages: object[]) => {
      const response = await fetch(`${keyed.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
        body: JSON.stringify({ model: "tiny", messages, temperature: 0, max_tokens: 60 }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const { choices, usage } = await response.json();
      return { choices, prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details };
    };
    const messages = user("How far is it from the river to the mountain, says the llama?");
    const first = await ask("alice-key", messages);
    const turns = [...messages, first.choices[0].message, ...user("Go on.")];
    const expected = await ask("bob-key", turns);
    expect(expected.cached).toEqual({ cached_tokens: 0 });
    for (let i = 0; (await keyed.state("engine-0-0")).turns! < 2 && i < 100; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await keyed.close();
    keyed = await startEngineObjects(pack.objects, { folder: own, bindings });
    // Of alice there is the first turn; of bob both, as one.
    const alice = await ask("alice-key", turns);
    const bob = await ask("bob-key", turns);
    expect([alice.choices, bob.choices]).toEqual([expected.choices, expected.choices]);
    expect(alice.cached.cached_tokens).toBeGreaterThan(first.prompt);
    expect(alice.cached.cached_tokens).toBeLessThan(expected.prompt - 1);
    expect(bob.cached.cached_tokens).toBe(expected.prompt - 1);
  } finally {
    await keyed.close();
  }
}, 120_000);

test("an object that ends under load: streams go on or end with one error, nothing hangs", async () => {
  const bodies = Array.from({ length: 6 }, (_, i) => ({
    ...{ messages: user(`Story ${i} of a llama`), seed: i, stream: true, max_tokens: 120 },
  }));
  const expected: string[][] = [];
  for (const body of bodies) expected.push(await read(await chat(body)));
  let ended = false;
  const streams = await Promise.all(
    bodies.map(async (body) => {
      const response = await chat(body);
      // Two of three are ended: on a busy machine what is left may have no room for who comes now.
      if (response.status === 503) return [await response.text()];
      return read(response, async (count) => {
        if (count !== 20 || ended) return;
        ended = true;
        await objects.end("engine-0-1", "kill");
        await objects.end("engine-0-2", "kill");
      });
    }),
  );
  expect(ended).toBe(true);
  for (const [i, events] of streams.entries()) {
    const errors = events.filter((event) => event.includes('"error"'));
    expect(errors.length).toBeLessThanOrEqual(1);
    if (errors.length === 0) expect(comparable(events)).toEqual(comparable(expected[i]!));
  }
  expect((await chat({ messages: user("Hello") })).status).toBe(200);
});

test("a full queue is 503 with Retry-After, and is over when the others are", async () => {
  const bodies = Array.from({ length: 12 }, () => ({ messages: user("Hi"), max_tokens: 150 }));
  const answers = await Promise.all(bodies.map((body) => chat(body)));
  const refused = answers.filter(({ status }) => status === 503);
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(6);
  expect(refused.length).toBeGreaterThan(0);
  for (const response of refused) {
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await response.json()).error.code).toBe("engine_unavailable");
  }
  await Promise.all(answers.map(({ bodyUsed, body }) => (bodyUsed ? undefined : body?.cancel())));
  expect((await chat({ messages: user("Hi") })).status).toBe(200);
});

test("a client that leaves frees its slot", async () => {
  const leave = new AbortController();
  const body = { messages: user("Tell me all."), stream: true, max_tokens: 180 };
  const left = read(await chat(body, leave.signal), (count) => {
    if (count === 4) leave.abort();
  });
  await expect(left).rejects.toThrow();
  let busy = 1;
  for (let i = 0; busy > 0 && i < 50; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    busy = (await objects.state("engine-0-0")).busy!;
  }
  expect(busy).toBe(0);
});

test("what is no generation goes the same way, and /v1/responses are kept in objects", async () => {
  const post = async (path: string, body: object) => {
    const response = await fetch(`${objects.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tiny", ...body }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return response.json();
  };
  const { data } = await post("/v1/embeddings", { input: ["a llama", "a river"] });
  expect(data).toHaveLength(2);
  expect((await post("/perplexity", { prompt: "The llama went home." })).nll).toBeGreaterThan(0);
  const first = await post("/v1/responses", { input: "Hello, llama", max_output_tokens: 8 });
  const next = { previous_response_id: first.id, input: "And you?", max_output_tokens: 8 };
  const second = await post("/v1/responses", next);
  expect(second.previous_response_id).toBe(first.id);
  const kept = await fetch(`${objects.url}/v1/responses/${first.id}`);
  expect((await kept.json()).output).toEqual(first.output);
  const refused = await post("/v1/load_lora_adapter", { lora_name: "x", lora_path: "y" });
  expect(refused.error.type).toBe("invalid_request_error");
  const health = await fetch(`${objects.url}/health`);
  expect(health.status).toBe(200);
});
