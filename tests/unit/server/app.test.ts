import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { type AppOptions, createApp } from "../../../src/server/app.ts";
import type { LogEntry } from "../../../src/server/context.ts";
import { CHAT, COMPLETIONS, chat, completion, type Json, post, postJson } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const { engine } = createToy();
const app = createApp({ engine });
const get = async (path: string, init?: RequestInit): Promise<{ status: number; json: Json }> => {
  const response = await app.request(path, init);
  return { status: response.status, json: await response.json() };
};

describe("paths", () => {
  test.each(["/v1/models", "/v1/models/", "//v1/models", "/v1//models//", "/v1/models?limit=1"])(
    "%s lists the one model",
    async (path) => {
      expect(await get(path)).toEqual({
        status: 200,
        json: {
          object: "list",
          data: [
            {
              id: "toy/llama",
              object: "model",
              created: 1_700_000_000,
              owned_by: "pronk",
              context_length: 256,
              backend: "toy",
              kernel: "script",
              kernel_reason: "script: the only one",
              threads: 1,
              memory: { weights: 0, kv: 0, total: 0 },
              root: "toy/llama",
              parent: null,
            },
          ],
        },
      });
    },
  );

  test.each(["/v1/models/toy/llama", "/v1/models/toy%2Fllama", "/v1/models/toy%2fllama/"])(
    "%s is the model by its id",
    async (path) => {
      expect((await get(path)).json.id).toBe("toy/llama");
    },
  );

  test.each(["/v1/models/other", "/v1/models/toy", "/v1/models/%zz", "/v1/models/%E0%A4%A"])(
    "%s is an unknown model",
    async (path) => {
      const { status, json } = await get(path);
      expect(status).toBe(404);
      expect(json.error).toMatchObject({ code: "model_not_found", param: "model" });
    },
  );

  test.each(["/", "/v1", "/v2/models", "/v1/chat", "/v1/chat/completions/x", "/healthy"])(
    "%s is an unknown URL, said as JSON",
    async (path) => {
      const { status, json } = await get(path);
      expect(status).toBe(404);
      expect(json).toEqual({
        error: {
          message: expect.stringContaining(path),
          type: "invalid_request_error",
          param: null,
          code: "unknown_url",
        },
      });
    },
  );

  test.each([
    ["GET", CHAT, "POST, OPTIONS"],
    ["DELETE", COMPLETIONS, "POST, OPTIONS"],
    ["POST", "/v1/models", "GET, HEAD, OPTIONS"],
    ["PUT", "/v1/models/x", "GET, HEAD, OPTIONS"],
    ["POST", "/health", "GET, HEAD, OPTIONS"],
  ])("%s %s is answered with the methods that are allowed", async (method, path, allow) => {
    const response = await app.request(path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe(allow);
    expect((await response.json()).error.code).toBe("method_not_allowed");
  });

  test("HEAD is GET without a body", async () => {
    const response = await app.request("/v1/models", { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });

  test("work below the path where the app is mounted, errors included", async () => {
    const outer = new Hono().route("/llm", app as unknown as Hono);
    const ok = await outer.request("/llm/v1/models/toy/llama");
    expect((await ok.json()).id).toBe("toy/llama");
    expect(ok.headers.get("x-request-id")).toMatch(/^req_/);
    const missing = await outer.request("/llm/v1/nothing");
    expect((await missing.json()).error.code).toBe("unknown_url");
    const bad = await outer.request("/llm/v1/completions", { method: "POST", body: "{" });
    expect(bad.status).toBe(400);
    expect((await bad.json()).error.code).toBe("invalid_value");
  });
});

test("a model that is not served is not found", async () => {
  for (const [path, body] of [
    [CHAT, chat({ model: "gpt-4" })],
    [COMPLETIONS, completion({ model: "" })],
  ] as const) {
    const { status, json } = await postJson(app, path, body);
    expect(status).toBe(404);
    expect(json.error).toMatchObject({ code: "model_not_found", param: "model" });
  }
});

test("an engine that runs nothing any more is not healthy", async () => {
  const failure = new PronkError("engine_failed", "kernel trapped: unreachable");
  const trapped = Object.create(engine, { failure: { value: failure } });
  const health = await createApp({ engine: trapped }).request("/health");
  expect(health.status).toBe(503);
  expect(await health.json()).toMatchObject({
    status: "failed",
    error: { code: "engine_failed", message: failure.message },
  });
});

describe("request ids", () => {
  const idFor = async (given: string): Promise<string | null> => {
    const response = await app.request("/health", { headers: { "x-request-id": given } });
    return response.headers.get("x-request-id");
  };

  test("are the caller's when sane, else new", async () => {
    expect(await idFor("trace-1.a:b_C")).toBe("trace-1.a:b_C");
    expect(await idFor("x".repeat(129))).toMatch(/^req_[0-9a-f]{32}$/);
    expect(await idFor('a"b<c>')).toMatch(/^req_/);
    expect(await idFor("")).toMatch(/^req_/);
  });

  test("are on errors too", async () => {
    expect((await app.request("/nothing")).headers.get("x-request-id")).toMatch(/^req_/);
    expect((await post(app, CHAT, {})).headers.get("x-request-id")).toMatch(/^req_/);
  });

  test("come with the caller's traceparent when that is well formed", async () => {
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const echoed = async (value: string): Promise<string | null> =>
      (await app.request("/health", { headers: { traceparent: value } })).headers.get(
        "traceparent",
      );
    expect(await echoed(traceparent)).toBe(traceparent);
    expect(await echoed("00-xyz")).toBeNull();
  });
});

describe("bodies", () => {
  const send = async (
    body: BodyInit | null,
    limits: AppOptions["limits"] = {},
    headers: Record<string, string> = {},
  ): Promise<{ status: number; json: Json }> => {
    const limited = createApp({ engine, limits });
    // Streams have no length; the types do not know `duplex` yet.
    const init = { method: "POST", body, headers, duplex: "half" } as RequestInit;
    const response = await limited.request(CHAT, init);
    return { status: response.status, json: await response.json() };
  };
  const inPieces = (text: string, onPull?: () => void): ReadableStream<Uint8Array> => {
    let at = 0;
    return new ReadableStream(
      {
        pull(controller) {
          onPull?.();
          if (at >= text.length) return controller.close();
          controller.enqueue(new TextEncoder().encode(text.slice(at, (at += 10))));
        },
      },
      { highWaterMark: 0 },
    );
  };

  test.each([
    ["missing", null],
    ["empty", ""],
    ["not JSON", "{"],
    ["not UTF-8", Uint8Array.of(0x22, 0xff, 0x22)],
    ["a list", "[]"],
    ["a number", "7"],
    ["null", "null"],
    ["nested 100,000 deep and cut off", "[".repeat(100_000)],
    ["an object of lists 400,000 deep", `{"a":${"[".repeat(4e5)}${"]".repeat(4e5)}}`],
  ])("that are %s are refused", async (_, body) => {
    const { status, json } = await send(body);
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ type: "invalid_request_error", param: null });
    expect(json.error.message).toMatch(/^body: /);
  });

  test("need no content type, and may come in pieces", async () => {
    expect((await send(inPieces(JSON.stringify(chat())))).status).toBe(200);
  });

  test("may be as large as the limit and not a byte larger, whatever they declare", async () => {
    const body = JSON.stringify(chat());
    for (const make of [() => body, () => inPieces(body)]) {
      expect((await send(make(), { bodyBytes: body.length })).status).toBe(200);
      const { status, json } = await send(make(), { bodyBytes: body.length - 1 });
      expect(status).toBe(413);
      expect(json.error).toMatchObject({ code: "request_too_large" });
    }
    const declared = { "content-length": "5" };
    expect((await send(body, { bodyBytes: 10 }, declared)).status).toBe(413);
    expect((await send(body, { bodyBytes: 10 }, { "content-length": "x" })).status).toBe(413);
  });

  test("are not read past the limit", async () => {
    let pulls = 0;
    const body = inPieces("x".repeat(100_000), () => pulls++);
    expect((await send(body, { bodyBytes: 100 })).status).toBe(413);
    expect(pulls).toBeLessThan(20);
  });

  test("that declare too much are not read at all", async () => {
    let pulls = 0;
    const body = inPieces("x".repeat(100), () => pulls++);
    expect((await send(body, { bodyBytes: 99 }, { "content-length": "100" })).status).toBe(413);
    expect(pulls).toBe(0);
  });

  test("that break off are refused", async () => {
    const broken = new ReadableStream({
      pull: (controller) => controller.error(new Error("connection reset")),
    });
    expect((await send(broken)).json.error.message).toBe("body: cut off before its end");
  });
});

describe("limits", () => {
  const limited = createApp({
    engine,
    limits: { promptTokens: 20, maxTokens: 5, choices: 3 },
  });

  test("cap what is generated: more is refused, nothing asked is the cap", async () => {
    for (const param of ["max_tokens", "max_completion_tokens"]) {
      const { status, json } = await postJson(limited, CHAT, chat({ [param]: 6 }));
      expect(status).toBe(400);
      expect(json.error).toMatchObject({ param, code: "invalid_value" });
    }
    const { json } = await postJson(limited, CHAT, chat());
    expect(json.error.code).toBe("request_too_large"); // the question alone has more than 20
    const short = await postJson(limited, COMPLETIONS, completion());
    expect(short.json.usage.completion_tokens).toBe(5);
  });

  test("cap prompts with 413", async () => {
    const { status, json } = await postJson(
      limited,
      COMPLETIONS,
      completion({ prompt: [Array(20).fill(1), Array(21).fill(1)] }),
    );
    expect(status).toBe(413);
    expect(json.error).toMatchObject({ param: "prompt[1]", code: "request_too_large" });
  });

  test("cap choices, over all prompts", async () => {
    expect((await postJson(limited, CHAT, chat({ n: 4 }))).json.error.param).toBe("n");
    const prompt = ["a", "b"];
    const { status, json } = await postJson(limited, COMPLETIONS, completion({ prompt, n: 2 }));
    expect(status).toBe(400);
    expect(json.error.param).toBe("prompt");
  });

  test("a prompt that leaves no room in the context is refused, not retried", async () => {
    const messages = [{ role: "user", content: "Hi ".repeat(500) }];
    for (const stream of [false, true]) {
      const { status, json, headers } = await postJson(app, CHAT, chat({ messages, stream }));
      expect(status).toBe(400);
      expect(json.error).toMatchObject({ code: "context_length_exceeded", param: "messages" });
      expect(headers.get("x-should-retry")).toBe("false");
    }
    const many = Array.from({ length: 256 }, () => ({ role: "user", content: "" }));
    const { json } = await postJson(app, CHAT, chat({ messages: many }));
    expect(json.error.code).toBe("context_length_exceeded");
  });

  test("output ends at the end of the context", async () => {
    const prompt = Array(250).fill(1);
    const { json } = await postJson(
      app,
      COMPLETIONS,
      completion({ prompt, max_tokens: 1000, ignore_eos: true }),
    );
    expect(json.usage.completion_tokens).toBe(6);
    expect(json.choices[0].finish_reason).toBe("length");
  });
});

test("a model without a chat template completes but does not chat", async () => {
  const bare = createApp({ engine: createToy({ template: undefined }).engine });
  const { status, json } = await postJson(bare, CHAT, chat());
  expect(status).toBe(400);
  expect(json.error).toMatchObject({ param: "messages", code: "unsupported_parameter" });
  expect((await postJson(bare, COMPLETIONS, completion())).status).toBe(200);
});

describe("a model that is not there yet", () => {
  const LOADING = {
    ...{ open_ms: 4, kernel_ms: 13, memory_ms: 6, tokenizer_ms: 9 },
    ...{ read_ms: 52, verify_ms: 60, finish_ms: 3, total_ms: 147 },
  };
  const answers = async (options: AppOptions): Promise<[number, Json, number, Json, Headers]> => {
    const loading = createApp(options);
    const health = await loading.request("/health");
    const { status, json, headers } = await postJson(loading, CHAT, chat());
    return [health.status, await health.json(), status, json.error, headers];
  };

  test("is loading, with its progress and when to come back", async () => {
    const [health, state, status, error, headers] = await answers({
      engine: () => undefined,
      ready: () => ({ status: "loading", progress: 0.421 }),
    });
    expect([health, state]).toEqual([503, { status: "loading", progress: 0.421 }]);
    expect(status).toBe(503);
    expect(error).toMatchObject({ code: "model_loading", message: "the model is loading: 42 %" });
    expect(headers.get("retry-after")).toBe("1");
    expect(headers.get("retry-after-ms")).toBe("1000");
    expect(headers.get("x-should-retry")).toBe("true");
  });

  test("is loading where nobody says how far it is", async () => {
    const [health, state, status] = await answers({ engine: () => undefined });
    expect([health, state, status]).toEqual([503, { status: "loading" }, 503]);
  });

  test.each([
    ["by its engine", undefined],
    ["by the entry", () => ({ status: "ready" as const, loading: LOADING })],
  ])("says once it is there how long each part of loading took: %s", async (_, ready) => {
    const loaded = { ...engine, info: { ...engine.info, loading: LOADING } };
    const response = await createApp({ engine: loaded, ready }).request("/health");
    expect(await response.json()).toEqual({ status: "ok", loading: LOADING });
    expect(response.headers.get("server-timing")).toContain(
      "open;dur=4.0, kernel;dur=13.0, memory;dur=6.0, tokenizer;dur=9.0, read;dur=52.0, " +
        "verify;dur=60.0, finish;dur=3.0, total;dur=147.0, request;dur=",
    );
  });

  test("is waited for where the engine is promised", async () => {
    const [health, state, status] = await answers({ engine: async () => engine });
    expect([health, state, status]).toEqual([200, { status: "ok" }, 200]);
  });

  test.each([
    ["bad_format", 500, "engine_failed", "false"],
    ["not_found", 500, "engine_failed", "false"],
    ["out_of_memory", 500, "engine_failed", "false"],
    ["source_failed", 503, "source_failed", "true"],
    ["loading", 503, "model_loading", "true"],
  ] as const)("failed with %s", async (code, expected, wire, retry) => {
    const [, , status, error, headers] = await answers({
      engine: () => Promise.reject(new PronkError(code, "model.gguf: broken")),
    });
    expect(status).toBe(expected);
    expect(error.code).toBe(wire);
    expect(error.message).toContain("model.gguf: broken");
    expect(headers.get("x-should-retry")).toBe(retry);
  });

  test("failed, as the entry says", async () => {
    const [health, state, status, error] = await answers({
      engine: () => undefined,
      ready: () => ({ status: "failed", error: new PronkError("corrupt", "shard 3: damaged") }),
    });
    expect(health).toBe(503);
    expect(state).toEqual({
      status: "failed",
      error: { code: "engine_failed", message: "shard 3: damaged" },
    });
    expect(status).toBe(500);
    expect(error.message).toContain("shard 3: damaged");
  });

  test("failed by a bug, whose message stays inside", async () => {
    const [, , status, error] = await answers({
      engine: () => {
        throw new TypeError("secret internals");
      },
    });
    expect(status).toBe(500);
    expect(error.message).not.toContain("secret");
  });

  test("does not keep wrong requests from being told so", async () => {
    const loading = createApp({ engine: () => undefined });
    expect((await postJson(loading, CHAT, chat({ temperature: 3 }))).status).toBe(400);
  });
});

test("each answer is logged, with its error and the time taken", async () => {
  const log: LogEntry[] = [];
  let now = 0;
  const logging = createApp({
    engine,
    randomId: () => "7",
    clock: { now: () => (now += 5), wall: () => 1000 },
    log: (entry) => log.push(entry),
  });
  const response = await logging.request("/v1/models");
  expect(response.headers.get("openai-processing-ms")).toBe("5");
  await postJson(logging, CHAT, {});
  expect(log).toEqual([
    {
      time: 1000,
      request_id: "req_7",
      method: "GET",
      path: "/v1/models",
      route: "/v1/models",
      status: 200,
      ms: 10,
    },
    {
      time: 1000,
      request_id: "req_7",
      method: "POST",
      path: CHAT,
      route: CHAT,
      status: 400,
      ms: 10,
      error: expect.any(PronkError),
    },
  ]);
});
