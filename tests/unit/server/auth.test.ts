import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import {
  type ApiKey,
  type AppOptions,
  createApp,
  jsonLogLine,
  type LogEntry,
  parseApiKeys,
  type Readiness,
} from "../../../src/server/app.ts";
import { CHAT, COMPLETIONS, chat, completion, post } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const app = createApp({ engine: createToy().engine, auth: { keys: ["first", "sécond-key"] } });
const status = async (headers: Record<string, string>, path = "/v1/models"): Promise<number> =>
  (await app.request(path, { headers })).status;

test.each([
  ["authorization", "Bearer first"],
  ["authorization", "bearer  first "],
  ["x-api-key", "first"],
  ["api-key", "first"],
])("a key opens in %s: %s", async (name, value) => {
  expect(await status({ [name]: value })).toBe(200);
});

test("a valid key counts beside a foreign authorization", async () => {
  expect(await status({ authorization: "Basic Zm9vOmJhcg==", "x-api-key": "first" })).toBe(200);
  expect(await status({ authorization: "Bearer other", "api-key": "first" })).toBe(200);
});

test.each([
  {},
  { authorization: "first" },
  { authorization: "Bearer" },
  { authorization: "Bearer " },
  { authorization: "Bearer firs" },
  { authorization: "Bearer first2" },
  { authorization: "Bearer FIRST" },
  { authorization: "Basic first" },
  { "x-api-key": "" },
  { "x-api-key": "second-key" },
])("%j does not", async (headers) => {
  expect(await status(headers as Record<string, string>)).toBe(401);
});

test("the refusal is OpenAI's", async () => {
  const response = await post(app, CHAT, chat());
  expect(response.status).toBe(401);
  expect(response.headers.get("www-authenticate")).toBe("Bearer");
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(await response.json()).toEqual({
    error: {
      message: "missing or unknown API key",
      type: "invalid_request_error",
      param: null,
      code: "invalid_api_key",
    },
  });
});

describe("every route is closed", () => {
  test.each([
    ["POST", CHAT],
    ["POST", COMPLETIONS],
    ["GET", "/v1/models"],
    ["HEAD", "/v1/models"],
    ["GET", "/v1/models/toy/llama"],
    ["POST", "/v1//chat/completions/"],
  ])("%s %s", async (method, path) => {
    expect((await app.request(path, { method })).status).toBe(401);
  });

  test("but health and preflights", async () => {
    expect((await app.request("/health")).status).toBe(200);
    expect((await app.request(CHAT, { method: "OPTIONS" })).status).toBe(204);
  });
});

describe("/health of a model that could not be loaded", () => {
  const why = "http://10.0.0.7:9000/models/secret-project.gguf: HTTP 403";
  const failure = new PronkError("source_failed", why);
  const keys: ApiKey[] = [{ key: "owner" }, { key: "tenant", models: ["sql"] }];
  const STRANGERS: Record<string, string>[] = [
    {},
    { authorization: "Bearer other" },
    { "x-api-key": "tenant" },
  ];

  async function health(options: Partial<AppOptions>, headers: Record<string, string>) {
    const logged: LogEntry[] = [];
    const log = (entry: LogEntry): void => void logged.push(entry);
    const failing = createApp({ engine: () => Promise.reject(failure), ...options, log });
    const response = await failing.request("/health", { headers });
    expect(response.status).toBe(503);
    expect(jsonLogLine(logged[0]!)).toContain(JSON.stringify(why));
    return { text: await response.text(), headers: JSON.stringify([...response.headers]) };
  }

  const failed = (): Readiness => ({ status: "failed", error: failure, progress: 0.5 });
  test.each<[string, Partial<AppOptions>]>([
    ["found by asking", {}],
    ["said by the entry", { ready: failed }],
  ])(
    "says a code to strangers and to keys of some models, the rest to others: %s",
    async (_, how) => {
      const said = { status: "failed", ...("ready" in how && { progress: 0.5 }) };
      for (const headers of STRANGERS) {
        const { text, headers: sent } = await health({ ...how, auth: { keys } }, headers);
        expect(JSON.parse(text)).toEqual({ ...said, error: { code: "source_failed" } });
        expect(sent).not.toMatch(/secret-project|10\.0\.0\.7/);
      }
      const whole = { ...said, error: { code: "source_failed", message: why } };
      const owner = { authorization: "Bearer owner" };
      expect(JSON.parse((await health({ ...how, auth: { keys } }, owner)).text)).toEqual(whole);
      expect(JSON.parse((await health(how, {})).text)).toEqual(whole);
    },
  );
});

test.each([[[]], [[""]], [["good", ""]]])("keys %j are refused when the app is made", (keys) => {
  expect(() => createApp({ engine: createToy().engine, auth: { keys } })).toThrow("auth.keys");
});

const digest = (key: string): string =>
  `sha256:${createHash("sha256").update(key, "utf8").digest("hex")}`;

describe("a key that is given as its digest", () => {
  const hashed = createApp({
    engine: createToy().engine,
    auth: { keys: [digest("secret"), digest("öther").toUpperCase().replace("SHA256", "sha256")] },
  });
  const ask = async (key: string): Promise<number> =>
    (await hashed.request("/v1/models", { headers: { authorization: `Bearer ${key}` } })).status;

  test("opens for the key, not for the digest", async () => {
    expect(await ask("secret")).toBe(200);
    expect(await ask(digest("secret"))).toBe(401);
    expect(await ask("secret2")).toBe(401);
  });

  test.each(["sha256:", "sha256:abc", `sha256:${"g".repeat(64)}`, `SHA256:${"0".repeat(63)}`])(
    "%s is refused when the app is made",
    (key) => {
      expect(() => createApp({ engine: createToy().engine, auth: { keys: [key] } })).toThrow("64");
    },
  );
});

describe("PRONK_API_KEYS", () => {
  test("is a list of keys, or of their descriptions in JSON", () => {
    expect(parseApiKeys(" a, b=c== ,sha256:00")).toEqual(["a", "b=c==", "sha256:00"]);
    const described = [{ key: "a", name: "app", models: ["m"], tokensPerDay: 5 }];
    expect(parseApiKeys(JSON.stringify(described))).toEqual(described);
  });

  test.each([
    ["[", "no JSON"],
    ['["hidden"]', "[0]"],
    ['[{"key":"hidden","requests":1}]', "wrong at"],
    ['[{"key":"hidden","name":"a b"}]', "[0].name"],
    ['[{"key":"hidden","requestsPerDay":-1}]', "[0].requestsPerDay"],
  ])("%s is refused without naming a key", (text, why) => {
    const refused = (): unknown => parseApiKeys(text);
    expect(refused).toThrow(why);
    expect(refused).not.toThrow("hidden");
  });

  test("with two keys of one name is refused", () => {
    const keys = [
      { key: "a", name: "x" },
      { key: "b", name: "x" },
    ];
    expect(() => createApp({ engine: createToy().engine, auth: { keys } })).toThrow("name");
  });
});

describe("a key for some models", () => {
  const open = async (
    models: readonly string[],
  ): Promise<(body: unknown, path?: string) => Promise<number>> => {
    const keys: ApiKey[] = [{ key: "k", models }];
    const app = createApp({
      engine: createToy().engine,
      auth: { keys },
      allowAdapterLoading: true,
    });
    return async (body, path = COMPLETIONS) =>
      (await post(app, path, body, { headers: { "api-key": "k" } })).status;
  };

  test("opens those and no others, streamed or not, and manages no adapters", async () => {
    const allowed = await open(["toy/llama"]);
    const denied = await open(["other"]);
    for (const stream of [false, true]) {
      expect(await allowed(completion({ stream }))).toBe(200);
      expect(await denied(completion({ stream }))).toBe(403);
    }
    expect(await denied(chat(), CHAT)).toBe(403);
    expect(await allowed([], "/lora-adapters")).toBe(403);
    expect(await allowed({ lora_name: "x", lora_path: "y" }, "/v1/load_lora_adapter")).toBe(403);
  });
});
