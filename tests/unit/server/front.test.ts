/** The front over apps that are called directly, and over engines that fail in every way. */
import { describe, expect, test } from "vitest";
import { createApp, createFront, type FrontOptions } from "../../../src/server/app.ts";
import type { LogEntry } from "../../../src/server/context.ts";
import { CHAT, chat, events, type Json, post } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const { engine } = createToy();
const app = createApp({ engine });
const upstream = "http://engines.test:8080";

interface Fronted {
  readonly front: ReturnType<typeof createFront>;
  readonly sent: Request[];
  readonly log: LogEntry[];
}

/** @param answer by default the toy's. */
function fronted(
  answer: (request: Request) => Response | Promise<Response> = (request) => app.fetch(request),
  options: Partial<FrontOptions> = {},
): Fronted {
  const sent: Request[] = [];
  const log: LogEntry[] = [];
  const front = createFront({
    upstream,
    fetch: async (request) => {
      sent.push(request.clone());
      return answer(request);
    },
    log: (entry) => log.push(entry),
    ...options,
  });
  return { front, sent, log };
}

const streamed = chat({ stream: true });

/** An event stream of these pieces, which then ends as told. */
function pieces(
  texts: readonly string[],
  {
    end = "close",
    type = "text/event-stream",
  }: { end?: "close" | "break" | "hang"; type?: string } = {},
): Response {
  let cancelled = false;
  const encoder = new TextEncoder();
  const left = [...texts];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const text = left.shift();
      if (text !== undefined) controller.enqueue(encoder.encode(text));
      else if (end === "close") controller.close();
      else if (end === "break") controller.error(new TypeError("terminated"));
      else if (!cancelled) return new Promise(() => {});
    },
    cancel: () => {
      cancelled = true;
    },
  });
  return new Response(body, { headers: { "content-type": type } });
}

const token = (text: string): string => `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`;

describe("what passes through", () => {
  test.each([
    ["whole", chat({ seed: 1 })],
    ["streamed", streamed],
  ])("%s answers", async (_, body) => {
    const { front, sent, log } = fronted();
    const [direct, through] = await Promise.all(
      [app, front].map(async (to) => post(to, CHAT, body)),
    );
    expect(through.status).toBe(200);
    const strip = (text: string): string =>
      text.replace(/"(?:id|created|cache\w+|draft\w+|\w+_ms|\w+_per_second)":[^,}]+/g, "");
    expect(strip(await through.text())).toBe(strip(await direct.text()));
    expect(through.headers.get("content-type")).toBe(direct.headers.get("content-type"));
    expect(through.headers.get("access-control-allow-origin")).toBe("*");
    expect(sent[0]!.url).toBe(`${upstream}${CHAT}`);
    expect(sent[0]!.headers.get("x-pronk-affinity")).toMatch(/^[0-9a-f]{16}$/);
    expect(log).toMatchObject([{ method: "POST", path: CHAT, status: 200 }]);
    expect(log[0]!.error).toBeUndefined();
  });

  test("a second turn has the header of the first; what a client sends for it is not believed", async () => {
    const { front, sent } = fronted();
    const first = chat();
    const second = chat({
      messages: [
        ...(first.messages as object[]),
        { role: "assistant", content: "Seven." },
        { role: "user", content: "Sure?" },
      ],
    });
    const headers = { "x-pronk-affinity": "0".repeat(16) };
    await post(front, CHAT, first, { headers });
    await post(front, CHAT, second);
    await post(front, CHAT, chat({ messages: [{ role: "user", content: "Another" }] }));
    const keys = sent.map((request) => request.headers.get("x-pronk-affinity"));
    expect(keys[0]).not.toBe("0".repeat(16));
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[0]);
  });

  test("a response is read where it was made", async () => {
    const { front, sent } = fronted();
    const made = await post(front, "/v1/responses", { model: "toy/llama", input: "Hi" });
    const { id } = (await made.json()) as Json;
    const read = await front.request(`/v1/responses/${id}`);
    expect(read.status).toBe(200);
    const keys = sent.map((request) => request.headers.get("x-pronk-affinity"));
    expect(keys[1]).toBe(keys[0]);
  });

  test("keys, each with its own prefixes", async () => {
    const keyed = createApp({ engine: createToy().engine, auth: { keys: ["alice", "bob"] } });
    const { front } = fronted((request) => keyed.fetch(request));
    const ask = async (key: string, fields = {}): Promise<number> => {
      const headers = { authorization: `Bearer ${key}` };
      const answer = await (await post(front, CHAT, chat(fields), { headers })).json();
      return answer.usage.prompt_tokens_details.cached_tokens;
    };
    expect([await ask("alice"), await ask("bob")]).toEqual([0, 0]);
    expect(await ask("alice")).toBeGreaterThan(0);
    expect(await ask("alice", { cache_salt: "s" })).toBe(0);
    expect((await post(front, CHAT, chat())).status).toBe(401);
  });

  test("errors as the engine spells them, paths and queries as they are", async () => {
    const { front, sent } = fronted();
    const refused = await post(front, CHAT, chat({ model: "none" }));
    expect(refused.status).toBe(404);
    expect(((await refused.json()) as Json).error.code).toBe("model_not_found");
    await front.request("/v1/models/a%2Fb?x=%20y");
    expect(sent[1]!.url).toBe(`${upstream}/v1/models/a%2Fb?x=%20y`);
  });

  test("no header of one hop only, nor one that a Connection names", async () => {
    const { front, sent } = fronted(
      () => new Response("{}", { headers: { "keep-alive": "timeout=5", "x-kept": "1" } }),
    );
    const response = await post(front, CHAT, chat(), {
      headers: {
        connection: "x-private",
        "x-private": "1",
        te: "trailers",
        authorization: "Bearer k",
      },
    });
    expect(
      [...sent[0]!.headers.keys()].filter((name) => /private|^te$|connection/.test(name)),
    ).toEqual([]);
    expect(sent[0]!.headers.get("authorization")).toBe("Bearer k");
    expect(response.headers.get("keep-alive")).toBeNull();
    expect(response.headers.get("x-kept")).toBe("1");
  });
});

describe("before the first byte", () => {
  test("a connection that was closed is opened once more", async () => {
    let calls = 0;
    const { front } = fronted((request) => {
      if (calls++ === 0) throw new TypeError("fetch failed");
      return app.fetch(request);
    });
    expect((await post(front, CHAT, chat())).status).toBe(200);
    expect(calls).toBe(2);
  });

  test.each([
    ["cannot be reached", () => Promise.reject(new TypeError("fetch failed"))],
    ["is only a page of the load balancer", () => new Response("<html>502", { status: 502 })],
    [
      "says nothing in time",
      (request: Request) =>
        new Promise<Response>((_, reject) => {
          request.signal.addEventListener("abort", () => reject(new Error("aborted")));
        }),
    ],
  ])("an engine that %s is a 503 that may be retried", async (_, answer) => {
    const { front, log } = fronted(answer, { answerMs: 30 });
    for (const [path, body] of [
      [CHAT, streamed],
      ["/v1/messages", { model: "m", messages: [], max_tokens: 1 }],
      ["/api/chat", { model: "m", messages: [] }],
    ] as const) {
      const response = await post(front, path, body);
      expect(response.status).toBe(503);
      expect(response.headers.get("x-should-retry")).toBe("true");
      expect(response.headers.get("access-control-allow-origin")).toBe("*");
      const { error, type } = (await response.json()) as Json;
      if (path === CHAT) expect(error.code).toBe("upstream_failed");
      else if (path === "/api/chat") expect(error).toMatch(/engine|answer/);
      else expect([type, error.type]).toEqual(["error", "overloaded_error"]);
    }
    expect(log).toHaveLength(3);
    expect(log[0]).toMatchObject({ status: 503, error: { reply: "upstream_failed" } });
  });

  test("a 503 of the last engine stays what it is", async () => {
    const { front } = fronted((request) =>
      createApp({ engine: () => undefined, ready: () => ({ status: "loading" }) }).fetch(request),
    );
    const response = await post(front, CHAT, chat());
    expect(response.status).toBe(503);
    expect(((await response.json()) as Json).error.code).toBe("model_loading");
  });

  test("a body that is too long is refused here", async () => {
    const { front, sent } = fronted(undefined, { bodyBytes: 50 });
    expect((await post(front, CHAT, chat())).status).toBe(413);
    expect(sent).toHaveLength(0);
  });

  test.each([["{"], [""], [`{"messages":${"[".repeat(100_000)}`]])(
    "what is no JSON is the engine's to refuse: %.20s",
    async (body) => {
      const { front, sent } = fronted();
      const response = await front.request(CHAT, { method: "POST", body });
      expect(response.status).toBe(400);
      expect(sent).toHaveLength(1);
    },
  );

  test.each([
    ["GET", "/metrics"],
    ["POST", "/v1/load_lora_adapter"],
    ["POST", "/lora-adapters"],
  ])("%s %s is each engine's own", async (method, path) => {
    const { front, sent } = fronted();
    const response = await front.request(path, { method });
    expect(response.status).toBe(403);
    expect(sent).toHaveLength(0);
  });

  test("while it stops it refuses", async () => {
    const { front } = fronted(undefined, { isStopping: () => true });
    const refused = await post(front, CHAT, chat());
    expect(refused.status).toBe(503);
    expect(((await refused.json()) as Json).error.code).toBe("server_stopping");
    expect(await (await front.request("/health")).json()).toEqual({ status: "stopping" });
  });
});

describe("a stream whose engine dies ends with one event that says so", () => {
  const partial = 'data: {"choices":[{"del';
  const sequenced =
    'event: response.created\ndata: {"type":"response.created","sequence_number":7}\n\n';

  test.each([
    ["breaks off", [token("a"), token("b")], { end: "break" }],
    ["breaks off within an event", [token("a"), token("b") + partial], { end: "break" }],
    ["ends as if all were well", [token("a"), token("b"), partial], { end: "close" }],
    ["falls silent", [token("a") + token("b")], { end: "hang" }],
    ["pings, then falls silent", [token("a"), token("b"), ": ping\n\n"], { end: "hang" }],
  ] as const)("chat, when it %s", async (_, texts, how) => {
    const { front, log } = fronted(() => pieces(texts, how), { idleMs: 50 });
    const response = await post(front, CHAT, streamed);
    expect(response.status).toBe(200);
    const found = (await events(response)).filter((event) => event.startsWith("data:"));
    expect(found.slice(0, -1).map((event) => `${event}\n\n`)).toEqual([token("a"), token("b")]);
    const { error } = JSON.parse(found.at(-1)!.slice(6));
    expect(error).toMatchObject({ type: "server_error", code: "upstream_failed" });
    expect(log).toMatchObject([{ status: 200, error: { reply: "upstream_failed" } }]);
  });

  test("Anthropic's messages", async () => {
    const { front } = fronted(() =>
      pieces(["event: message_start\ndata: {}\n\n"], { end: "break" }),
    );
    const found = await events(await post(front, "/v1/messages", { model: "m", messages: [] }));
    expect(found).toHaveLength(2);
    expect(found[1]).toMatch(
      /^event: error\ndata: \{"type":"error","error":\{"type":"overloaded_error"/,
    );
  });

  test("responses, with the next number", async () => {
    const { front } = fronted(() => pieces([sequenced], { end: "break" }));
    const found = await events(await post(front, "/v1/responses", { model: "m", input: "x" }));
    expect(found[1]).toContain("event: error\n");
    expect(found[1]).toContain('"sequence_number":8');
    expect(found.slice(2)).toEqual(["data: [DONE]"]);
  });

  test("Ollama's lines", async () => {
    const texts = ['{"message":{"content":"say \\"done\\":true"},"done":false}\n', '{"mess'];
    const { front } = fronted(() => pieces(texts, { type: "application/x-ndjson" }));
    const lines = (await (await post(front, "/api/chat", { model: "m" })).text()).split("\n");
    expect(lines).toHaveLength(3);
    expect(JSON.parse(lines[1]!)).toEqual({ error: expect.stringContaining("engine") });
  });
});

describe("a stream that is whole gets nothing more", () => {
  test.each([
    ["[DONE]", [`${token("a")}data: [DONE]\n\n`], CHAT],
    ["[DONE] with an id, in two pieces", ["id: 1\ndata: [DO", "NE]\n", "", "\n"], CHAT],
    ["an error that the engine told", ['data: {"error":{"message":"x"}}\n\n'], CHAT],
    ["message_stop", ['event: message_stop\ndata: {"type":"message_stop"}\n\n'], "/v1/messages"],
  ])("after %s", async (_, texts, path) => {
    for (const end of ["close", "break"] as const) {
      const { front, log } = fronted(() => pieces(texts, { end }));
      expect(await (await post(front, path, streamed)).text()).toBe(texts.join(""));
      expect(log[0]!.error).toBeUndefined();
    }
  });

  test("after a line that is done", async () => {
    const texts = ['{"done":false}\n', '{"done":true}\n'];
    const { front } = fronted(() => pieces(texts, { type: "application/x-ndjson" }));
    expect(await (await post(front, "/api/chat", {})).text()).toBe(texts.join(""));
  });
});

test("a client that leaves ends the request behind it", async () => {
  const { front, sent, log } = fronted(() => pieces([token("a")], { end: "hang" }));
  const response = await post(front, CHAT, streamed);
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  expect(sent[0]!.signal.aborted).toBe(true);
  expect(log).toMatchObject([{ status: 200 }]);
  expect(log[0]!.error).toBeUndefined();
});

test.each([["engines.test"], ["ftp://engines.test"], ["http://engines.test/?a=b"]])(
  "%s is no upstream",
  (url) => {
    expect(() => createFront({ upstream: url })).toThrow("upstream: expected an http URL");
  },
);
