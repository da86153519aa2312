/** Two keys of one server: neither reads, goes on with, deletes or learns of what is the other's. */
import { beforeEach, describe, expect, test } from "vitest";
import { createApp, memoryResponseCache } from "../../../src/server/app.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { type App, CHAT, chat, type Json, post } from "./client.ts";
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
