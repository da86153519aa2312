/** Two keys of one server: neither reads, goes on with, deletes or learns of what is the other's. */
import { createHash } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { type AppOptions, createApp, memoryResponseCache } from "../../../src/server/app.ts";
import { saveChatSnapshot } from "../../../src/server/chat-snapshot.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { type App, CHAT, COMPLETIONS, chat, completion, type Json, post } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const MODEL = "toy/llama";
const SECRET = "CANARY-of-alice";
const RESPONSES = "/v1/responses";

const KEYS = [
  { key: "alice-key", name: "alice" },
  { key: "bob-key", name: "bob" },
  { key: "sql-key", name: "sql", models: ["sql"] },
];

/** What somebody sends who has no key. */
const STRANGERS: readonly Record<string, string>[] = [
  {},
  { authorization: "Bearer wrong" },
  { cookie: "key=alice-key" },
];

let app: App;
let toy: ReturnType<typeof createToy>;
beforeEach(async () => {
  const folders = ["/srv/secret-path/payroll", "/srv/secret-path/sql"];
  toy = createToy({
    reply: SECRET,
    adapterReplies: Object.fromEntries(folders.map((folder) => [folder, "SELECT 1"])),
    openAdapter: (path) => Promise.resolve(randomLoraFolder(path)),
  });
  await toy.engine.loadAdapter("payroll", folders[0]!);
  await toy.engine.loadAdapter("sql", folders[1]!);
  app = createApp({
    engine: toy.engine,
    auth: { keys: KEYS },
    cache: { store: memoryResponseCache(1e6) },
    allowAdapterLoading: true,
  });
});

const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
const ask = async (key: string, method: string, path: string, body?: Json) => {
  const init = { ...as(key), method };
  const response = await (body === undefined
    ? app.request(path, init)
    : post(app, path, body, init));
  return { status: response.status, text: await response.text(), headers: response.headers };
};

describe("a response of one key", () => {
  let id: string;
  let item: string;
  beforeEach(async () => {
    const body = { model: MODEL, input: "my secret", store: true };
    const { text } = await ask("alice-key", "POST", RESPONSES, body);
    const made = JSON.parse(text);
    id = made.id;
    item = made.output[0].id;
    expect((await ask("alice-key", "GET", `${RESPONSES}/${id}`)).status).toBe(200);
  });

  test.each<[string, string, (id: string) => string]>([
    ["read", "GET", (id) => `${RESPONSES}/${id}`],
    ["listed", "GET", (id) => `${RESPONSES}/${id}/input_items`],
    ["cancelled", "POST", (id) => `${RESPONSES}/${id}/cancel`],
    ["deleted", "DELETE", (id) => `${RESPONSES}/${id}`],
  ])("is not %s by another, and looks as if it were not there", async (_, method, path) => {
    const refused = await ask("bob-key", method, path(id));
    const absent = await ask("bob-key", method, path(`resp_${"0".repeat(32)}`));
    expect(refused.status).toBe(404);
    expect(refused.text.replaceAll(id, "")).toBe(absent.text.replaceAll(/resp_0+/g, ""));
    expect(refused.text).not.toContain(SECRET);
    expect((await ask("alice-key", "GET", `${RESPONSES}/${id}`)).status).toBe(200);
  });

  test("is not gone on from, as a whole or by an item", async () => {
    for (const fields of [
      { previous_response_id: id },
      { input: [{ type: "item_reference", id: item }] },
    ]) {
      const body = { model: MODEL, input: "what did I say?", ...fields };
      for (const path of [RESPONSES, `${RESPONSES}/input_tokens`]) {
        const { status, text } = await ask("bob-key", "POST", path, body);
        expect([status, text.includes(SECRET)]).toEqual([400, false]);
        expect((await ask("alice-key", "POST", path, body)).status).toBe(200);
      }
    }
  });

  test("has an id of 122 random bits", async () => {
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { text } = await ask("alice-key", "POST", RESPONSES, { model: MODEL, input: "a" });
        return JSON.parse(text).id as string;
      }),
    );
    expect(new Set(ids).size).toBe(20);
    for (const one of ids) expect(one).toMatch(/^resp_[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
  });
});

test("an answer in the cache is not another key's", async () => {
  const body = chat();
  await ask("alice-key", "POST", CHAT, body);
  expect((await ask("alice-key", "POST", CHAT, body)).headers.get("x-pronk-cache")).toBe("hit");
  expect((await ask("bob-key", "POST", CHAT, body)).headers.get("x-pronk-cache")).not.toBe("hit");
});

test("an answer in the cache is of the key, not of its name: names go by places in a list", async () => {
  const store = memoryResponseCache(1e6);
  const of = (keys: string[]): App =>
    createApp({ engine: toy.engine, auth: { keys }, cache: { store } });
  const first = of(["alice-key", "bob-key"]);
  await (await post(first, CHAT, chat(), as("alice-key"))).text();
  // Both are key-1, before and after the list has changed.
  const second = of(["bob-key", "alice-key"]);
  const answer = await post(second, CHAT, chat(), as("bob-key"));
  expect(answer.headers.get("x-pronk-cache")).not.toBe("hit");
  const own = await post(second, CHAT, chat(), as("alice-key"));
  expect(own.headers.get("x-pronk-cache")).toBe("hit");
});

describe("the prefix cache", () => {
  const story = "a llama that went home over the mountain";
  const system = { role: "system", content: "You are a guide of the mountains. Be brief." };
  const messages = [system, { role: "user", content: `Tell me of ${story}.` }];
  const made = (options: Partial<AppOptions> = {}): App =>
    createApp({ engine: toy.engine, auth: { keys: KEYS }, ...options });

  interface Answer {
    readonly cached: number;
    readonly prompt: number;
    readonly said: unknown;
  }
  /** As every dialect spells it. */
  const answerOf = (json: Json): Answer => {
    const { usage, choices, output, content, message } = json;
    const cached =
      usage?.prompt_tokens_details?.cached_tokens ??
      usage?.input_tokens_details?.cached_tokens ??
      usage?.cache_read_input_tokens;
    const prompt = usage?.prompt_tokens ?? usage?.input_tokens ?? json.prompt_eval_count;
    const [choice] = choices ?? [];
    const said = choice?.message ?? choice?.text ?? output?.[0].content ?? content ?? message;
    return { cached, prompt, said };
  };
  const tell = async (of: App, key: string, body: Json, path = CHAT): Promise<Answer> => {
    const response = await post(of, path, body, as(key));
    const json = await response.json();
    if (response.status !== 200) throw new Error(JSON.stringify(json));
    return answerOf(json);
  };
  beforeEach(() => {
    app = made();
  });

  const requests: readonly [string, string, Json][] = [
    ["a chat", CHAT, chat({ messages, max_tokens: 4 })],
    ["a completion", COMPLETIONS, completion({ prompt: `Once there was ${story}`, max_tokens: 4 })],
    ["a response", RESPONSES, { model: MODEL, input: `Tell me of ${story}.`, temperature: 0 }],
    ["a message", "/v1/messages", { ...chat({ messages: messages.slice(1) }), max_tokens: 4 }],
  ];

  test.each(requests)("%s of one key is read anew for another", async (_, path, body) => {
    const first = await tell(app, "alice-key", body, path);
    const before = toy.forwards();
    const other = await tell(app, "bob-key", body, path);
    const cost = toy.forwards() - before;
    expect([first.cached, other.cached]).toEqual([0, 0]);
    for (const key of ["alice-key", "bob-key"]) {
      const start = toy.forwards();
      const again = await tell(app, key, body, path);
      expect(again.cached).toBeGreaterThan(5);
      expect(again.said).toEqual(first.said);
      expect(toy.forwards() - start).toBeLessThanOrEqual(cost);
    }
    expect(other.said).toEqual(first.said);
  });

  test("Ollama's chats take as long for another key as for the first", async () => {
    const body = { model: MODEL, messages, stream: false, options: { num_predict: 4 } };
    const tokens: number[] = [];
    const cached = (): number => toy.engine.stats().cached_tokens;
    for (const key of ["alice-key", "bob-key", "alice-key"]) {
      const before = cached();
      await tell(app, key, body, "/api/chat");
      tokens.push(cached() - before);
    }
    expect(tokens).toEqual([0, 0, expect.toSatisfy((count: number) => count > 5)]);
  });

  test("gives nothing of a prompt that is being read, or whose answer is running", async () => {
    const body = chat({ messages, max_tokens: 20 });
    const together = await Promise.all([
      tell(app, "alice-key", body),
      tell(app, "bob-key", body),
      tell(app, "bob-key", body),
    ]);
    const [alice, ...bob] = together.map(({ cached }) => cached);
    expect(alice).toBe(0);
    expect(Math.min(...bob)).toBe(0);
    expect(new Set(together.map(({ said }) => JSON.stringify(said))).size).toBe(1);
  });

  test("gives nothing of what was scored, or read for log-probabilities", async () => {
    const prompt = `Once there was ${story}`;
    const works: readonly [string, Json][] = [
      ["/score", { context: prompt, continuations: [" and stayed"] }],
      [COMPLETIONS, completion({ prompt, echo: true, logprobs: 1, max_tokens: 0 })],
    ];
    for (const [path, body] of works) {
      toy = createToy();
      const of = made();
      await tell(of, "alice-key", body, path);
      const asked = completion({ prompt, max_tokens: 2 });
      expect([path, (await tell(of, "bob-key", asked, COMPLETIONS)).cached]).toEqual([path, 0]);
      expect((await tell(of, "alice-key", asked, COMPLETIONS)).cached).toBeGreaterThan(5);
    }
  });

  test("serves all choices of one request", async () => {
    const body = chat({ messages, n: 3, temperature: 1, seed: 2, max_tokens: 2 });
    const { prompt } = await tell(app, "alice-key", body);
    const { prompt_tokens, cached_tokens } = toy.engine.stats();
    expect([prompt_tokens, cached_tokens]).toEqual([3 * prompt, 2 * (prompt - 1)]);
  });

  test("of a stream that one key began gives nothing to another that goes on with it", async () => {
    const body = chat({ messages, stream: true, resume: true, max_tokens: 8 });
    const begun = await (await post(app, CHAT, body, as("alice-key"))).text();
    const resume = /^id: (\S+)$/m.exec(begun)![1]!;
    const { text } = await ask("bob-key", "POST", CHAT, { ...body, resume });
    expect(text).toContain("data: [DONE]");
    expect(toy.engine.stats().cached_tokens).toBe(0);
  });

  test("is divided further by cache_salt, within a key", async () => {
    toy = createToy({ slots: 4 });
    const of = made();
    const asked = [
      ["alice-key", "one"],
      ["alice-key", "two"],
      ["alice-key", undefined],
      ["bob-key", "one"],
    ] as const;
    const ask = ([key, cache_salt]: (typeof asked)[number]): Promise<Answer> =>
      tell(of, key, chat({ messages, max_tokens: 4, cache_salt }));
    const first: Answer[] = [];
    for (const one of asked) first.push(await ask(one));
    expect(first.map(({ cached }) => cached)).toEqual([0, 0, 0, 0]);
    for (const one of asked) {
      const again = await ask(one);
      expect(again.cached).toBeGreaterThan(5);
      expect(again.said).toEqual(first[0]!.said);
    }
  });

  test.each(requests.slice(0, 3))("%s takes a cache_salt", async (_, path, body) => {
    await tell(app, "alice-key", { ...body, cache_salt: "s" }, path);
    expect((await tell(app, "alice-key", body, path)).cached).toBe(0);
    const again = await tell(app, "alice-key", { ...body, cache_salt: "s" }, path);
    expect(again.cached).toBeGreaterThan(5);
  });

  test("echoed prompts are read under their cache_salt", async () => {
    const body = completion({ prompt: `Once ${story}`, echo: true, logprobs: 0, max_tokens: 1 });
    await tell(app, "alice-key", { ...body, cache_salt: "s" }, COMPLETIONS);
    const { cached_tokens } = toy.engine.stats();
    const plain = { ...body, echo: false, logprobs: null };
    expect((await tell(app, "alice-key", plain, COMPLETIONS)).cached).toBe(0);
    expect(cached_tokens).toBeGreaterThan(5);
  });

  test("is not opened by a cache_salt that looks like another key's, with keys or without", async () => {
    const body = chat({ messages, max_tokens: 4 });
    const digest = createHash("sha256").update("alice-key").digest("hex");
    const guesses = ["s", digest, `${digest}:`, `${digest}:s`, `:${digest}:s`, "alice-key"];
    for (const cache_salt of guesses) {
      for (const isOpen of [false, true]) {
        toy = createToy({ slots: 3 });
        const keyed = made();
        await tell(keyed, "alice-key", body);
        await tell(keyed, "alice-key", { ...body, cache_salt: "s" });
        // Apps with keys and without may have one engine.
        const of = isOpen ? createApp({ engine: toy.engine }) : keyed;
        const { cached } = await tell(of, "bob-key", { ...body, cache_salt });
        expect([cache_salt, isOpen, cached]).toEqual([cache_salt, isOpen, 0]);
      }
    }
  });

  test("is one key's whether the server has it or its digest, under any name and place", async () => {
    const body = chat({ messages, max_tokens: 4 });
    const digest = createHash("sha256").update("alice-key").digest("hex");
    await tell(app, "alice-key", body);
    const keys = [{ key: "bob-key", name: "alice" }, { key: `sha256:${digest}` }];
    const moved = made({ auth: { keys } });
    expect((await tell(moved, "bob-key", body)).cached).toBe(0);
    expect((await tell(moved, "alice-key", body)).cached).toBeGreaterThan(5);
  });

  test("has a loaded snapshot for every key, and nothing beyond it", async () => {
    const bytes = await saveChatSnapshot(toy.engine, [system]);
    toy = createToy();
    const { tokens } = await toy.engine.loadSnapshot(bytes);
    const of = made();
    const body = chat({ messages, max_tokens: 4 });
    for (const key of ["alice-key", "bob-key"]) {
      expect((await tell(of, key, body)).cached).toBe(tokens);
      expect((await tell(of, key, body)).cached).toBeGreaterThan(tokens);
    }
  });

  test("is all keys' where the server says so, but for cache_salt", async () => {
    const shared = made({ sharePrefixCache: true });
    const body = chat({ messages, max_tokens: 4 });
    await tell(shared, "alice-key", body);
    expect((await tell(shared, "bob-key", body)).cached).toBeGreaterThan(5);
    expect((await tell(shared, "bob-key", { ...body, cache_salt: "s" })).cached).toBe(0);
    expect((await tell(shared, "alice-key", { ...body, cache_salt: "s" })).cached).toBeGreaterThan(
      5,
    );
  });

  test("is everybody's where there are no keys, but for cache_salt", async () => {
    const open = createApp({ engine: toy.engine });
    const body = chat({ messages, max_tokens: 4 });
    expect((await tell(open, "any", body)).cached).toBe(0);
    expect((await tell(open, "other", body)).cached).toBeGreaterThan(5);
    expect((await tell(open, "any", { ...body, cache_salt: "s" })).cached).toBe(0);
    expect((await tell(open, "other", { ...body, cache_salt: "s" })).cached).toBeGreaterThan(5);
  });
});

describe("a stream's resume token", () => {
  const body = chat({ stream: true, resume: true, max_tokens: 20 });

  async function tokenOf(key: string): Promise<string> {
    const { text } = await ask(key, "POST", CHAT, body);
    return /^id: (\S+)$/m.exec(text)![1]!;
  }

  test("goes on with nothing but the request that it is of, which its reader has to know", async () => {
    const resume = await tokenOf("alice-key");
    const other = [{ role: "user", content: "tell me" }];
    for (const fields of [{ messages: other }, { model: "sql" }, { seed: 3 }]) {
      const { status } = await ask("bob-key", "POST", CHAT, { ...body, ...fields, resume });
      expect(status).toBe(400);
    }
  });

  test("does not open what a key may not ask for", async () => {
    const resume = await tokenOf("alice-key");
    const { status } = await ask("sql-key", "POST", CHAT, { ...body, resume });
    expect(status).toBe(403);
  });

  test("that was forged is refused, or gives what the forger wrote; never a failure", async () => {
    const token = await tokenOf("alice-key");
    const bytes = Buffer.from(token, "base64url");
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 127, 128, 255]) {
        const forged = Buffer.from(bytes);
        forged[at] = value;
        const resume = forged.toString("base64url");
        const { status, text } = await ask("bob-key", "POST", CHAT, { ...body, resume });
        expect([at, value, [200, 400].includes(status)]).toEqual([at, value, true]);
        expect(text).not.toContain("internal error");
      }
    }
  });
});

describe("a key for one adapter", () => {
  const forbidden: readonly [string, string, Json?][] = [
    ["POST", CHAT, chat()],
    ["POST", CHAT, chat({ model: "payroll" })],
    ["POST", CHAT, chat({ lora: [{ id: 0, scale: 1 }] })],
    [
      "POST",
      CHAT,
      chat({
        model: MODEL,
        lora: [
          { id: 1, scale: 1 },
          { id: 0, scale: 1 },
        ],
      }),
    ],
    ["POST", "/v1/completions", { model: MODEL, prompt: "a" }],
    ["POST", "/v1/completions", { model: "payroll", prompt: "a" }],
    ["POST", RESPONSES, { model: MODEL, input: "a" }],
    ["POST", "/v1/embeddings", { model: MODEL, input: "a" }],
    ["POST", "/score", { context: "hello", continuations: [" there"] }],
    ["POST", "/perplexity", { prompt: "hello there" }],
    ["POST", "/api/chat", { model: "payroll", messages: [{ role: "user", content: "a" }] }],
    ["POST", "/api/generate", { model: MODEL, prompt: "a" }],
    ["POST", "/api/embed", { model: MODEL, input: "a" }],
    ["POST", "/api/show", { model: "payroll" }],
    ["POST", "/v1/messages", { ...chat({ model: MODEL }), temperature: 0, max_tokens: 1 }],
    ["GET", "/v1/models/payroll"],
    ["GET", `/v1/models/${MODEL}`],
    ["POST", "/lora-adapters", [{ id: 0, scale: 1 }]],
    ["POST", "/v1/load_lora_adapter", { lora_name: "mine", lora_path: "/srv/secret-path/payroll" }],
    ["POST", "/v1/unload_lora_adapter", { lora_name: "sql" }],
  ];

  test.each(forbidden)("%s %s %j is 403", async (method, path, body) => {
    const forwards = toy.forwards();
    const { status, text } = await ask("sql-key", method, path, body);
    expect([status, text.includes(SECRET)]).toEqual([403, false]);
    expect(toy.forwards()).toBe(forwards);
    expect(toy.engine.adapters.map(({ name }) => name)).toEqual(["payroll", "sql"]);
  });

  test("does what it is for", async () => {
    const { status, text } = await ask("sql-key", "POST", CHAT, chat({ model: "sql" }));
    expect([status, JSON.parse(text).choices[0].message.content]).toEqual([200, "SELECT 1"]);
  });

  test("learns nothing of the others, and no path of the server", async () => {
    for (const [method, path, body] of [
      ["GET", "/v1/models"],
      ["GET", "/api/tags"],
      ["GET", "/api/ps"],
      ["GET", "/lora-adapters"],
      ["POST", CHAT, chat({ model: "guess" })],
      ["POST", CHAT, chat({ model: "sql", lora: [{ id: 9, scale: 1 }] })],
      ["POST", CHAT, chat({ lora: [{ id: 9, scale: 1 }] })],
      ["POST", "/api/show", { model: "guess" }],
      ["GET", "/v1/models/guess"],
    ] as const) {
      const { text } = await ask("sql-key", method, path, body);
      expect([path, text]).toEqual([path, expect.not.stringMatching(/payroll|secret-path/)]);
    }
  });
});

test("without a key nothing but what is public is there, on any route and by any spelling of it", async () => {
  const document = await (await app.request("/openapi.json")).json();
  const open = ["/health", "/openapi.json", "/docs", "/api/version"];
  for (const [path, methods] of Object.entries(document.paths)) {
    const real = path.replaceAll(/\{\w+\}/g, "x");
    if (open.includes(real)) continue;
    const spellings = [
      real,
      `/${real}`,
      `${real}/`,
      real.replace(/[a-z](?=[^/]*$)/, (c) => `%${c.charCodeAt(0).toString(16)}`),
    ];
    for (const method of [...Object.keys(methods as object), "HEAD"]) {
      for (const spelled of spellings) {
        for (const headers of STRANGERS) {
          const url = `http://localhost${spelled}?key=alice-key&api_key=alice-key`;
          const { status } = await app.request(url, { method: method.toUpperCase(), headers });
          expect([method, spelled, [401, 404, 405].includes(status)]).toEqual([
            method,
            spelled,
            true,
          ]);
        }
      }
    }
  }
});

test("what is counted has as many series as there are routes and keys, whatever is asked", async () => {
  const seriesOf = async (): Promise<number> => {
    const { text } = await ask("alice-key", "GET", "/metrics");
    return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
  };
  for (const key of ["alice-key", "bob-key", "nobody"]) {
    await ask(key, "GET", "/v1/models");
    await ask(key, "GET", "/nothing");
    await ask(key, "PUT", "/nothing");
    await ask(key, "PUT", CHAT);
    await ask(key, "GET", `${RESPONSES}/x`);
  }
  await seriesOf();
  const before = await seriesOf();
  for (let i = 0; i < 500; i++) {
    await ask(`key-${i}`, "GET", "/v1/models");
    await ask("alice-key", "GET", `/path-${i}`);
    await ask("alice-key", "GET", `${RESPONSES}/id-${i}`);
    await app.request("/nothing", { ...as("alice-key"), method: `METHOD${i}` });
    await app.request(CHAT, { ...as("alice-key"), method: `METHOD${i}` });
  }
  expect(await seriesOf()).toBe(before);
});
