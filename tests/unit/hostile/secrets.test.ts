/**
 * Secrets planted wherever there is a place for one, then every way to fail: nothing that comes out has any of them, to
 * the terminal, in answers, in logs, in files.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeProject } from "../../../src/cli/deploy/project.ts";
import { PronkError } from "../../../src/errors.ts";
import { createApp, jsonLogLine, textLogLine } from "../../../src/server/app.ts";
import type { LogEntry } from "../../../src/server/context.ts";
import { pronk } from "../cli/fake-cli.ts";
import { type FileServer, startFileServer } from "../hub/file-server.ts";
import { chat, completion, type Json, post } from "../server/client.ts";
import { createToy } from "../server/toy-engine.ts";

/** Of one's own kind each, so that a leak says which. */
const CANARY = {
  apiKey: "CANARYapikey7f3a",
  otherKey: "CANARYotherkey91",
  s3Id: "CANARYS3ID0000000001",
  s3Secret: "CANARYs3secretx55",
  s3Session: "CANARYs3session2",
  hub: "CANARYhftoken08",
  stage: "CANARYstagekey3",
  user: "CANARYuser1",
  password: "CANARYpassword2",
  query: "CANARYsignature4",
  proxy: "CANARYproxypass6",
  cookie: "CANARYcookie5",
  prompt: "CANARYprompt9",
  wrong: "CANARYwrongkey0",
} as const;

const expectClean = (what: string, text: string): void => {
  for (const [name, value] of Object.entries(CANARY)) {
    const forms = [value, btoa(value), encodeURIComponent(value), value.toLowerCase()];
    const found = forms.find((form) => text.includes(form));
    expect([what, name, found]).toEqual([what, name, undefined]);
  }
};

let folder: string;
let server: FileServer;
let secretUrl: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-secrets-"));
  server = await startFileServer();
  secretUrl = server.url.replace("http://", `http://${CANARY.user}:${CANARY.password}@`);
  server.routes.set("/broken.gguf", (_, response) => response.end("GGUF?"));
  server.routes.set("/huge/manifest.json", (_, response) => response.end("{"));
  server.routes.set("/500.gguf", (_, response) => response.writeHead(500).end());
  server.routes.set("/401.gguf", (_, response) => response.writeHead(401).end());
  server.routes.set("/away.gguf", (_, response) =>
    response.writeHead(302, { location: `ftp://${CANARY.user}:${CANARY.password}@x/` }).end(),
  );
  server.routes.set("/api/models/o/r/tree/main", (_, response) =>
    response.writeHead(200, { "content-type": "application/json" }).end("[]"),
  );
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const environment = (): Record<string, string> => ({
  PRONK_CACHE: join(folder, "cache"),
  HF_HUB_CACHE: join(folder, "hub"),
  PRONK_API_KEYS: `[{"key": "${CANARY.apiKey}", "name": "a"}, {"key": "${CANARY.otherKey}", "name": "b"}]`,
  PRONK_API_KEY: CANARY.apiKey,
  PRONK_STAGE_KEY: CANARY.stage,
  AWS_ACCESS_KEY_ID: CANARY.s3Id,
  AWS_SECRET_ACCESS_KEY: CANARY.s3Secret,
  AWS_SESSION_TOKEN: CANARY.s3Session,
  AWS_ENDPOINT_URL: server.url,
  HF_TOKEN: CANARY.hub,
  HF_ENDPOINT: server.url,
  HTTPS_PROXY: `http://${CANARY.user}:${CANARY.proxy}@127.0.0.1:1`,
});

describe("what commands write", () => {
  const signed = `?X-Amz-Signature=${CANARY.query}`;
  const commands: readonly [string, () => string[], (() => Record<string, string>)?][] = [
    ["doctor", () => ["doctor", "--json"]],
    ["doctor, a hub with a password", () => ["doctor"], () => ({ HF_ENDPOINT: secretUrl })],
    ["a file by URL", () => ["inspect", `${secretUrl}/broken.gguf${signed}`]],
    ["a file that is not there", () => ["pull", `${secretUrl}/none.gguf${signed}`]],
    ["a server that fails", () => ["pull", `${server.url}/401.gguf${signed}`]],
    ["a redirect elsewhere", () => ["pull", `${server.url}/away.gguf${signed}`]],
    ["a pack by URL", () => ["inspect", `${secretUrl}/pack${signed}`]],
    ["a broken manifest", () => ["inspect", `${server.url}/huge${signed}`]],
    [
      "a host that is none",
      () => ["inspect", `http://${CANARY.user}:${CANARY.password}@127.0.0.1:1/p${signed}`],
    ],
    ["a bucket", () => ["inspect", "s3://bucket/prefix"]],
    [
      "a bucket at an endpoint with a password",
      () => ["inspect", "s3://bucket/prefix"],
      () => ({ AWS_ENDPOINT_URL: secretUrl }),
    ],
    [
      "half a key of S3",
      () => ["inspect", "s3://bucket/prefix"],
      () => ({ AWS_SECRET_ACCESS_KEY: "" }),
    ],
    ["a repository", () => ["pull", "hf:o/r"]],
    ["a repository that is not there", () => ["pull", "hf:o/none"]],
    [
      "a repository at a hub with a password",
      () => ["pull", "hf:o/r"],
      () => ({ HF_ENDPOINT: secretUrl }),
    ],
    [
      "a hub that is no URL",
      () => ["pull", "hf:o/r"],
      () => ({ HF_ENDPOINT: `:${CANARY.password}` }),
    ],
    [
      "a proxy that is none",
      () => ["pull", "hf:o/r"],
      () => ({ HF_ENDPOINT: "https://127.0.0.1:1" }),
    ],
    [
      "keys that are no JSON",
      () => ["serve", "x", "--port", "0"],
      () => ({ PRONK_API_KEYS: `[${CANARY.apiKey}` }),
    ],
    [
      "keys of a wrong form",
      () => ["serve", "x", "--port", "0"],
      () => ({ PRONK_API_KEYS: `[{"key": "${CANARY.apiKey}", "nme": 1}]` }),
    ],
    [
      "a digest that is none",
      () => ["serve", "x", "--port", "0"],
      () => ({ PRONK_API_KEYS: `sha256:${CANARY.apiKey}` }),
    ],
    [
      "two keys of a name",
      () => ["serve", "x", "--port", "0"],
      () => ({
        PRONK_API_KEYS: `[{"key":"${CANARY.apiKey}","name":"a"},{"key":"${CANARY.otherKey}","name":"a"}]`,
      }),
    ],
    ["a server without its model", () => ["serve", "nowhere", "--port", "0"]],
    ["a front of nothing", () => ["front", `ftp://${CANARY.user}:${CANARY.password}@x`]],
    [
      "stages that are not there",
      () => ["run", "x", "--prompt", CANARY.prompt, "--stages", "ws://127.0.0.1:1"],
    ],
    ["a prompt without a model", () => ["run", "nowhere.gguf", "--prompt", CANARY.prompt]],
    [
      "a deployment of nothing",
      () => ["deploy", "nowhere.gguf", "--dry-run", "--out", join(folder, "d")],
    ],
    [
      "a deployment to a bucket",
      () => ["deploy", "nowhere.gguf", "--endpoint", secretUrl, "--out", join(folder, "d")],
    ],
  ];
  test.each(commands)(
    "%s",
    async (name, args, env) => {
      const all = { ...environment(), ...env?.() };
      const { out, err } = await pronk(args(), { env: all, signal: AbortSignal.timeout(15_000) });
      expect((out + err).length).toBeGreaterThan(10);
      expectClean(name, out + err);
    },
    20_000,
  );

  test("nor anything that they leave on disk", async () => {
    for (const name of await readdir(folder, { recursive: true })) {
      expectClean("a name", name);
      const text = await readFile(join(folder, name), "utf8").catch(() => "");
      expectClean(name, text);
    }
  });

  test("which would show", () => {
    expect(() => expectClean("planted", `key ${btoa(CANARY.apiKey)}`)).toThrow();
  });
});

test("what a deployment writes for wrangler has names and checksums, and no secret", async () => {
  const out = join(folder, "project");
  const settings = { topology: "isolate", id: "m", ctx: 8, slots: 1, kv: "int8" } as never;
  const options = { name: "n", bucket: "b", prefix: "p", release: "0".repeat(64), settings };
  const saved = { ...process.env };
  Object.assign(process.env, environment());
  try {
    await writeProject(out, options);
  } finally {
    process.env = saved;
  }
  const config = JSON.parse(await readFile(join(out, "wrangler.json"), "utf8"));
  expect(Object.keys(config.vars).sort()).toEqual(["PACK", "RELEASE"]);
  for (const name of await readdir(out)) {
    expectClean(name, await readFile(join(out, name), "utf8").catch(() => ""));
  }
});

describe("what a server says", () => {
  const keys = [
    { key: CANARY.apiKey, name: "app" },
    { key: `sha256:${createHash("sha256").update(CANARY.otherKey).digest("hex")}`, name: "team" },
  ];
  const headers = {
    authorization: `Bearer ${CANARY.apiKey}`,
    cookie: `session=${CANARY.cookie}`,
    "x-request-id": `id ${CANARY.cookie}`,
    referer: `https://a.example/?token=${CANARY.query}`,
    "user-agent": CANARY.cookie,
  };
  const failures: readonly [string, unknown][] = [
    ["an unexpected error", new Error(`${CANARY.prompt} ${CANARY.apiKey}`)],
    ["with causes", new Error("a", { cause: new Error(CANARY.s3Secret, { cause: CANARY.hub }) })],
    ["a type error", new TypeError(CANARY.password)],
    ["a text", CANARY.s3Secret],
    ["an object", { secret: CANARY.s3Secret }],
    [
      "storage that fails",
      new PronkError("source_failed", "s3://b/p: HTTP 403", { cause: new Error(CANARY.s3Secret) }),
    ],
  ];
  const content = CANARY.prompt;
  const bodies: readonly [string, string, Json][] = [
    ["POST", "/v1/chat/completions", chat({ messages: [{ role: "user", content }] })],
    ["POST", "/v1/chat/completions", chat({ messages: [{ role: "user", content }], stream: true })],
    ["POST", "/v1/chat/completions", chat({ messages: [{ role: content, content }] })],
    ["POST", "/v1/chat/completions", chat({ temperature: content })],
    ["POST", "/v1/completions", completion({ prompt: content })],
    ["POST", "/v1/responses", { model: "toy/llama", input: content }],
    ["POST", "/v1/embeddings", { model: "toy/llama", input: content }],
    ["POST", "/api/generate", { model: "toy/llama", prompt: content }],
    [
      "POST",
      "/v1/messages",
      { model: "toy/llama", max_tokens: 4, messages: [{ role: "user", content }] },
    ],
    ["POST", `/none/${content}?key=${CANARY.query}`, { a: content }],
    ["PUT", "/v1/models", content],
  ];
  const SURFACES = [
    "/health",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/v1/models",
    "/lora-adapters",
    "/tokenizer_info",
  ];

  async function outputOf(
    failure: unknown,
    load: boolean,
  ): Promise<{ logs: string; told: string }> {
    const entries: LogEntry[] = [];
    const toy = createToy({
      onForward: () => {
        if (failure !== undefined && !load) throw failure;
      },
    });
    const app = createApp({
      engine: load
        ? () => {
            throw failure;
          }
        : toy.engine,
      ready: () => (load ? { status: "failed", error: failure as Error } : { status: "ready" }),
      auth: { keys },
      allowAdapterLoading: true,
      responses: {
        store: {
          get: () => Promise.reject(new Error(CANARY.s3Secret)),
          put: () => Promise.reject(new Error(CANARY.s3Secret)),
          delete: () => Promise.reject(new Error(CANARY.s3Secret)),
        },
      },
      log: (entry) => entries.push(entry),
    });
    const told: string[] = [];
    const note = async (response: Response): Promise<void> => {
      told.push([...response.headers].join("\n"), await response.text());
    };
    for (const [method, path, body] of bodies) {
      for (const more of [{}, { authorization: `Bearer ${CANARY.wrong}` }]) {
        await note(await post(app, path, body, { method, headers: { ...headers, ...more } }));
      }
    }
    for (const path of [...SURFACES, "/v1/responses/resp_a"]) {
      await note(await app.request(path, { headers }));
      await note(await app.request(path, { headers: { authorization: `Bearer ${CANARY.wrong}` } }));
    }
    const lines = entries.flatMap((entry) => [jsonLogLine(entry), textLogLine(entry)]);
    return { logs: lines.join("\n"), told: told.join("\n") };
  }

  /** The client's own words come back to it, and to it alone. */
  const echoes = (text: string): string => text.replaceAll(CANARY.prompt, "");

  test.each<[string, unknown]>([["nothing that fails", undefined], ...failures])(
    "%s: neither lines nor answers have a secret",
    async (name, failure) => {
      for (const load of failure === undefined ? [false] : [false, true]) {
        const { logs, told } = await outputOf(failure, load);
        expectClean(name, logs.replaceAll(`/none/${CANARY.prompt}`, ""));
        expectClean(name, echoes(told));
      }
    },
  );
});

test("what an app holds of its keys when it is made are digests, once one was asked for", async () => {
  const { auth } = { auth: { keys: [CANARY.apiKey] } };
  const { createAuthenticate } = await import("../../../src/server/auth.ts");
  const authenticate = createAuthenticate(auth);
  const caller = await authenticate(new Headers({ "x-api-key": CANARY.apiKey }));
  expectClean("a caller", JSON.stringify(caller));
  const wrong = await authenticate(new Headers({ "x-api-key": CANARY.wrong })).catch(String);
  expectClean("a refusal", String(wrong));
});
