/** What clients get of a server that is asked more than it can do. */
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { CHAT, COMPLETIONS, chat, completion, post, postJson } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const nextTask = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const withKey = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}` } });
const long = { ignore_eos: true, max_tokens: 30 };

test("a key that floods does not keep another's requests out, nor last in line", async () => {
  const { engine } = createToy({ slots: 1, maxQueue: 8 });
  const app = createApp({ engine, auth: { keys: ["flood", "quiet"] } });
  let ended = 0;
  const flood = Array.from({ length: 30 }, async () => {
    const { status } = await post(app, CHAT, chat(long), withKey("flood"));
    if (status === 200) ended++;
    return status;
  });
  while (engine.stats().busy === 0) await nextTask();
  const { status } = await post(app, CHAT, chat(long), withKey("quiet"));
  expect(status).toBe(200);
  expect(ended).toBeLessThanOrEqual(2);
  const statuses = await Promise.all(flood);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
});

test("a request of many choices that was let in is answered whole, however full it is by then", async () => {
  const { engine } = createToy({ slots: 1, maxQueue: 3, random: true });
  const app = createApp({ engine });
  const asked = post(app, CHAT, chat({ ...long, n: 4, temperature: 1, seed: 1 }));
  let isOver = false;
  const others = Array.from({ length: 6 }, async () => {
    for (; !isOver; await nextTask()) await post(app, CHAT, chat(long));
  });
  const { status } = await asked;
  isOver = true;
  await Promise.all(others);
  expect(status).toBe(200);
});

describe("a refusal", () => {
  test("comes before the prompt is encoded", async () => {
    const { engine } = createToy({ slots: 1, maxQueue: 0 });
    let encoded = 0;
    const counted = Object.create(engine, {
      tokenizer: {
        value: Object.create(engine.tokenizer, {
          encode: {
            value: (...args: Parameters<typeof engine.tokenizer.encode>) => {
              encoded++;
              return engine.tokenizer.encode(...args);
            },
          },
        }),
      },
    });
    const app = createApp({ engine: counted });
    const first = post(app, COMPLETIONS, completion(long));
    while (engine.stats().busy === 0) await nextTask();
    const before = encoded;
    expect(before).toBeGreaterThan(0);
    for (const [path, body] of [
      [CHAT, chat(long)],
      [COMPLETIONS, completion(long)],
      ["/v1/embeddings", { model: "toy/llama", input: "a" }],
      ["/v1/responses", { model: "toy/llama", input: "a" }],
      ["/v1/messages", { model: "toy/llama", max_tokens: 4, messages: chat().messages }],
      ["/api/chat", { model: "toy/llama", messages: chat().messages }],
      ["/api/generate", { model: "toy/llama", prompt: "a" }],
      ["/api/embed", { model: "toy/llama", input: "a" }],
    ] as const) {
      const refused = await post(app, path, body);
      expect([path, refused.status]).toEqual([path, 429]);
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      expect(refused.headers.get("x-should-retry")).toBe("true");
    }
    expect(encoded).toBe(before);
    expect((await first).status).toBe(200);
  });

  test("is not for what needs no slot", async () => {
    const { engine } = createToy({ slots: 1, maxQueue: 0 });
    const app = createApp({ engine });
    const first = post(app, COMPLETIONS, completion(long));
    while (engine.stats().busy === 0) await nextTask();
    expect((await post(app, "/tokenize", { prompt: "a" })).status).toBe(200);
    const { messages } = chat();
    expect(
      (await post(app, "/v1/messages/count_tokens", { model: "toy/llama", messages })).status,
    ).toBe(200);
    await first;
  });

  test("is not for answers that are kept", async () => {
    const { engine } = createToy({ slots: 1, maxQueue: 0 });
    const kept = new Map<string, string>();
    const store = {
      get: async (key: string) => kept.get(key),
      set: async (key: string, value: string) => void kept.set(key, value),
    };
    const app = createApp({ engine, cache: { store } });
    expect((await post(app, CHAT, chat({ max_tokens: 3 }))).status).toBe(200);
    const first = post(app, COMPLETIONS, completion(long));
    while (engine.stats().busy === 0) await nextTask();
    const hit = await post(app, CHAT, chat({ max_tokens: 3 }));
    expect([hit.status, hit.headers.get("x-pronk-cache")]).toEqual([200, "hit"]);
    await first;
  });
});

test("nobody is let in who would wait longer than the server's limit", async () => {
  let batches = 0;
  const { engine } = createToy({ slots: 1, onForward: () => void batches++ });
  // By the engine's clock, which is real, an answer takes some ms; four may wait in any case.
  const app = createApp({ engine, limits: { waitMs: 0 } });
  await post(app, CHAT, chat(long));
  const statuses = await Promise.all(
    Array.from({ length: 12 }, async () => (await postJson(app, CHAT, chat(long))).status),
  );
  expect(statuses.filter((status) => status === 200)).toHaveLength(4);
  expect(batches).toBeGreaterThan(0);
});
