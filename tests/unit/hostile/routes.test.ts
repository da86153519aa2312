/**
 * Every field of every route as an attacker fills it: places instead of names, names of JavaScript's own, depth. What
 * routes there are, and their fields, is read from the app's own description, so that new ones are attacked, too.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { type AppOptions, createApp } from "../../../src/server/app.ts";
import type { OpenApiDocument } from "../../../src/server/openapi/document.ts";
import { type Json, post } from "../server/client.ts";
import { createToy } from "../server/toy-engine.ts";

const MODEL = "toy/llama";
const SECRET = "CANARY-of-a-file";
const messages = [{ role: "user", content: "hello" }];

/** A request that each route answers; fields are put into it one by one. */
const VALID: Readonly<Record<string, Json>> = {
  "/v1/chat/completions": { model: MODEL, messages, max_tokens: 1 },
  "/v1/completions": { model: MODEL, prompt: "a", max_tokens: 1 },
  "/v1/responses": { model: MODEL, input: "a", max_output_tokens: 16 },
  "/v1/responses/input_tokens": { model: MODEL, input: "a" },
  "/v1/embeddings": { model: MODEL, input: "a" },
  "/v1/rerank": { model: MODEL, query: "a", documents: ["b"] },
  "/score": { context: "hello", continuations: [" there"] },
  "/perplexity": { prompt: "hello there" },
  "/tokenize": { prompt: "a" },
  "/detokenize": { tokens: [1] },
  "/lora-adapters": [],
  "/v1/load_lora_adapter": { lora_name: "a", lora_path: "b" },
  "/v1/unload_lora_adapter": { lora_name: "a" },
  "/api/chat": { model: MODEL, messages, stream: false, options: { num_predict: 1 } },
  "/api/generate": { model: MODEL, prompt: "a", stream: false, options: { num_predict: 1 } },
  "/api/embed": { model: MODEL, input: "a" },
  "/api/embeddings": { model: MODEL, prompt: "a" },
  "/api/show": { model: MODEL },
  "/v1/messages": { model: MODEL, messages, max_tokens: 1 },
  "/v1/messages/count_tokens": { model: MODEL, messages },
};

/** Routes of other servers of these families that fetch, write or delete what a client names. */
const ABSENT = [
  ["POST", "/api/pull"],
  ["POST", "/api/push"],
  ["POST", "/api/create"],
  ["POST", "/api/copy"],
  ["DELETE", "/api/delete"],
  ["POST", "/api/blobs/sha256:00"],
  ["HEAD", "/api/blobs/sha256:00"],
  ["POST", "/v1/files"],
  ["POST", "/v1/fine_tuning/jobs"],
  ["POST", "/slots/0?action=save"],
  ["POST", "/props"],
  ["GET", "/slots"],
  ["GET", "/.env"],
  ["GET", "/.git/config"],
] as const;

interface Field {
  readonly path: string;
  readonly name: string;
}

const document: OpenApiDocument = await (
  await createApp({ engine: createToy().engine }).request("/openapi.json")
).json();
const posts = Object.entries(document.paths).flatMap(([path, { post }]) =>
  post?.requestBody === undefined
    ? []
    : [{ path, schema: post.requestBody.content["application/json"]?.schema }],
);
const fields: Field[] = posts.flatMap(({ path, schema }) =>
  Object.keys((schema?.properties ?? {}) as object).map((name) => ({ path, name })),
);

/** Whatever a server of ours fetches or opens is noted here. */
const reached: string[] = [];
let catcher: Server;
let base: string;

beforeAll(async () => {
  catcher = createServer((request, response) => {
    reached.push(request.url ?? "");
    response.end(SECRET);
  });
  await new Promise<void>((resolve) => catcher.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(catcher.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => catcher.close(resolve)));
afterEach(() => {
  reached.length = 0;
});

function appWith(options: Partial<AppOptions> = {}) {
  const { engine } = createToy({
    openAdapter: async (place) => {
      reached.push(place);
      if (place.startsWith("http")) await fetch(place);
      throw new PronkError("not_found", `${place}: no such file`);
    },
  });
  return createApp({ engine, ...options });
}

const places = (): Json[] => {
  const texts = [
    `${base}/seen`,
    "file:///etc/passwd",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "s3://bucket/key",
    "hf:owner/repo",
    "data:text/plain,x",
    "\\\\host\\share",
    "a\u0000b",
  ];
  const url = texts[0];
  const part = { type: "image_url", image_url: { url } };
  const file = { type: "input_file", file_url: url, file_id: url };
  const image = { type: "image", source: { type: "url", url } };
  const told = [part, file, image].map((one) => [{ role: "user", content: [one] }]);
  const references = [[{ type: "item_reference", id: url }], { $ref: url }, { url }, [url]];
  const schema = { type: "json_schema", json_schema: { name: "a", schema: { $ref: url } } };
  const tool = [{ type: "function", function: { name: "f", parameters: { $ref: url } } }];
  return [...texts, ...told, ...references, schema, tool];
};

test("the requests that are altered are valid, and every route has one", async () => {
  expect(posts.map(({ path }) => path).sort()).toEqual(Object.keys(VALID).sort());
  const app = appWith();
  for (const [path, body] of Object.entries(VALID)) {
    const { status } = await post(app, path, body);
    const usual = /rerank|load_lora/.test(path) ? [400, 403] : [200];
    expect([path, usual.includes(status)]).toEqual([path, true]);
  }
});

describe("a place in any field is neither fetched nor read", () => {
  test.each(posts.map(({ path }) => path))("%s", async (path) => {
    const app = appWith();
    for (const { name } of fields.filter((field) => field.path === path)) {
      for (const value of places()) {
        const response = await post(app, path, { ...VALID[path], [name]: value });
        const text = await response.text();
        expect([name, value, response.status < 500]).toEqual([name, value, true]);
        expect(text).not.toContain(SECRET);
        expect(text).not.toContain("root:x:0");
      }
    }
    expect(reached).toEqual([]);
  });

  test("which would show: a server that was told to load what clients name does reach out", async () => {
    const app = appWith({ allowAdapterLoading: true });
    const lora_path = `${base}/seen`;
    await post(app, "/v1/load_lora_adapter", { lora_name: "a", lora_path });
    expect(reached).toEqual([lora_path, "/seen"]);
  });
});

test.each(ABSENT)("%s %s is not there", async (method, path) => {
  const response = await appWith().request(path, {
    method,
    ...(method === "POST" && { body: "{}" }),
  });
  expect(response.status).toBe(404);
  expect(reached).toEqual([]);
});

describe("a path names an object of this server, or nothing", () => {
  const OUT = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..%5c..%5cx",
  ];
  test.each([
    ["the page's files", "/playground/"],
    ["responses", "/v1/responses/"],
    ["models", "/v1/models/"],
  ])("%s", async (_, prefix) => {
    const asked: string[] = [];
    const read = async (name: string) => {
      asked.push(name);
      return undefined;
    };
    const stored: string[] = [];
    const store = {
      get: async (id: string) => void stored.push(id),
      put: async () => undefined,
      delete: async (id: string) => void stored.push(id),
    };
    const app = appWith({ playground: { read }, responses: { store: store as never } });
    const ids = [
      ...OUT,
      `${"a".repeat(70)}`,
      "resp_../x",
      "resp_%2e%2e%2fx",
      "%00",
      "resp_a%00",
      "__proto__",
      "constructor",
    ];
    for (const id of ids) {
      for (const method of ["GET", "DELETE"]) {
        const { status } = await app.request(prefix + id, { method });
        expect([id, [404, 405].includes(status)]).toEqual([id, true]);
      }
    }
    expect(stored).toEqual([]);
    for (const name of asked)
      expect(name).toMatch(/^(?:index\.html|playground\/[\w-]+(?:\.[\w-]+)+)$/);
  });
});

describe("names that are JavaScript's own are names like others", () => {
  const NAMES = ["__proto__", "constructor", "toString", "then"];
  /** As a text: of an object literal `__proto__` is no member. */
  const withOwn = (value: Json, name: string): Json =>
    JSON.parse(JSON.stringify(value).replaceAll("OWN", name));
  const polluting = JSON.parse(
    '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}',
  );

  test.each(NAMES)("%s", async (name) => {
    const app = appWith();
    const schema = {
      type: "object",
      properties: { OWN: { type: "integer" } },
      required: ["OWN"],
      additionalProperties: false,
    };
    const shapes: Json[] = [
      { OWN: 1 },
      { OWN: { OWN: { polluted: 1 } } },
      "OWN",
      [{ role: "OWN", content: "a" }],
      [{ role: "user", content: "a", name: "OWN", OWN: { polluted: 1 } }],
      [{ type: "function", name: "OWN", function: { name: "OWN", parameters: schema } }],
      { type: "function", name: "OWN", function: { name: "OWN" } },
      { type: "json_schema", name: "OWN", schema, json_schema: { name: "OWN", schema } },
      { type: "json_schema", schema: { $ref: "#/$defs/OWN", $defs: {} }, name: "a" },
      schema,
    ];
    for (const { path, name: field } of fields) {
      for (const shape of shapes) {
        const body = withOwn({ ...VALID[path], ...polluting, [field]: shape }, name);
        const { status } = await post(app, path, body);
        expect([path, field, shape, status < 500]).toEqual([path, field, shape, true]);
      }
    }
    expect(({} as Json).polluted).toBeUndefined();
    expect((() => 0) as Json).not.toHaveProperty("polluted");
  });

  test("a schema is refused a member that assignments would lose, by its name", async () => {
    const schema = withOwn({ type: "object", properties: { OWN: { const: 7 } } }, "__proto__");
    const body = { model: MODEL, messages, json_schema: schema };
    const response = await post(appWith(), "/v1/chat/completions", body);
    expect(await response.text()).toContain("a property __proto__ is not supported");
  });
});

describe("what is too deep or too much is refused, soon", () => {
  const deep = (open: string, close: string, n: number) => open.repeat(n) + close.repeat(n);
  test.each<[string, string]>([
    ["arrays", `{"model":"${MODEL}","messages":${deep("[", "]", 200_000)}}`],
    [
      "objects",
      `{"model":"${MODEL}","messages":${deep('{"a":', "1}", 100_000).replace(/1(?!})/, "1")}}`,
    ],
    [
      "a schema",
      `{"model":"${MODEL}","messages":[],"json_schema":${deep('{"items":', "}", 50_000).replace("}", "{}}")}}`,
    ],
    ["keys", `{${Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join()}}`],
    ["digits", `{"model":"${MODEL}","messages":[],"seed":${"9".repeat(900_000)}}`],
    ["NULs", `{"model":"${MODEL}","prompt":"${"\\u0000".repeat(100_000)}"}`],
  ])("%s", async (_, body) => {
    const app = appWith();
    for (const path of [
      "/v1/chat/completions",
      "/v1/completions",
      "/api/chat",
      "/v1/messages",
      "/v1/responses",
      "/score",
    ]) {
      const started = performance.now();
      const { status } = await app.request(path, { method: "POST", body });
      // Without messages one of Ollama's only asks whether the model is there.
      const isRefused = path === "/api/chat" ? status < 500 : status >= 400 && status < 500;
      expect([path, isRefused]).toEqual([path, true]);
      expect(performance.now() - started).toBeLessThan(2_000);
    }
  });
});
