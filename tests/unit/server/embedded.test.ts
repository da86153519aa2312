/** The app inside other people's: under a path, at the root beside their routes, in a plain handler. */
import { Hono } from "hono";
import { mount } from "hono/mount";
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import type { LogEntry } from "../../../src/server/context.ts";
import { chat, question } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const { engine } = createToy();

/** An app as somebody has it: routes before and after ours, an answer of its own for what is nowhere. */
function outerApp(path: string, inner = createApp({ engine })): Hono {
  const outer = new Hono();
  outer.get("/before", (c) => c.text("before"));
  outer.route(path, inner as unknown as Hono);
  outer.get("/after", (c) => c.text("after"));
  outer.get("/llm/status", (c) => c.text("status"));
  outer.options("/after", (c) => c.text("their own"));
  outer.notFound((c) => c.html("<h1>Nothing here</h1>", 404));
  return outer;
}

const mounts: [string, string, Hono][] = [
  ["by route() at /llm", "/llm", outerApp("/llm")],
  ["by route() at /", "", outerApp("/")],
  [
    "by basePath() and route()",
    "/a/b",
    new Hono().basePath("/a").route("/b", createApp({ engine }) as unknown as Hono),
  ],
  ["by hono/mount", "/llm", new Hono().all("/llm/*", mount(createApp({ engine }).fetch))],
];

describe.each(mounts)("mounted %s", (_, base, outer) => {
  test("every link of the page and of the document leads to a route", async () => {
    const html = await (await outer.request(`${base}/docs`)).text();
    const [, href] = /href="([^"#]+)"/.exec(html) ?? [];
    const url = new URL(href, `http://localhost${base}/docs`);
    const found = await outer.request(url);
    expect(found.status).toBe(200);
    const { servers, paths } = await found.json();
    const server = new URL(servers[0].url, url).href.replace(/\/$/, "");
    expect(paths).toHaveProperty("/health");
    expect((await outer.request(`${server}/health`)).status).toBe(200);
  });

  test("chats, errors and preflights are answered as they are alone", async () => {
    const post = (body: string): Promise<Response> | Response =>
      outer.request(`${base}/v1/chat/completions`, {
        method: "POST",
        body,
        headers: { "content-type": "application/json" },
      });
    const answer = await post(JSON.stringify(chat()));
    expect(answer.status).toBe(200);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect((await answer.json()).choices[0].message.role).toBe("assistant");
    const refused = await post("{");
    expect(refused.status).toBe(400);
    expect((await refused.json()).error.type).toBe("invalid_request_error");
    const preflight = await outer.request(`${base}/v1/models`, {
      method: "OPTIONS",
      headers: { origin: "https://a.example", "access-control-request-method": "GET" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-methods")).toContain("GET");
  });

  test("a stream ends with [DONE]", async () => {
    const answer = await outer.request(`${base}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify(chat({ stream: true })),
      headers: { "content-type": "application/json" },
    });
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
    expect((await answer.text()).endsWith("data: [DONE]\n\n")).toBe(true);
  });
});

test("the page's link holds behind a slash, too", async () => {
  const html = await (await createApp({ engine }).request("/docs/")).text();
  expect(html).toContain('href="../openapi.json"');
});

describe.each(["/llm", "/"])("mounted at %s", (path) => {
  const seen: LogEntry[] = [];
  const outer = outerApp(path, createApp({ engine, log: (entry) => seen.push(entry) }));

  test.each([
    ["/before", 200, "before"],
    ["/after", 200, "after"],
    ["/llm/status", 200, "status"],
    ["/nowhere", 404, "<h1>Nothing here</h1>"],
  ])("the other app answers %s by itself", async (url, status, text) => {
    const answer = await outer.request(url);
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe(text);
    if (url === "/llm/status" && path === "/llm") return; // below our path, but theirs
    for (const header of ["access-control-allow-origin", "x-request-id", "server-timing"]) {
      expect(answer.headers.get(header), header).toBeNull();
    }
  });

  test("the other app's preflights are its own", async () => {
    const answer = await outer.request("/after", { method: "OPTIONS" });
    expect(await answer.text()).toBe("their own");
  });

  test("only what was for the API is logged", async () => {
    seen.length = 0;
    await outer.request("/after");
    await outer.request("/nowhere");
    expect(seen).toEqual([]);
    await (await outer.request(path === "/" ? "/health" : "/llm/health")).text();
    expect(seen).toMatchObject([{ status: 200, route: "/health" }]);
  });
});

test("below a path, an unknown URL is said as the API says it", async () => {
  const answer = await outerApp("/llm").request("/llm/v1/images");
  expect(answer.status).toBe(404);
  expect((await answer.json()).error.code).toBe("unknown_url");
});

test("the engine is found by the bindings and the context of the request", async () => {
  type Env = { Bindings: { readonly NAME: string } };
  const asked: unknown[] = [];
  const inner = createApp({
    engine: (c) => {
      asked.push(c.env.NAME, typeof c.executionCtx.waitUntil);
      return engine;
    },
  });
  const context = { waitUntil() {}, passThroughOnException() {}, props: {} };
  for (const path of ["/health", "/metrics", "/v1/models"]) {
    const outer = new Hono<Env>().route("/llm", inner);
    const answer = await outer.request(`/llm${path}`, {}, { NAME: "bound" }, context);
    expect(answer.status, path).toBe(200);
  }
  expect(asked).toEqual(Array(3).fill(["bound", "function"]).flat());
});

test("a plain handler passes requests on", async () => {
  const llm = new Hono().route("/llm", createApp({ engine }));
  const handler = (request: Request): Response | Promise<Response> =>
    new URL(request.url).pathname.startsWith("/llm/") ? llm.fetch(request) : new Response("mine");
  expect(await (await handler(new Request("http://localhost/x"))).text()).toBe("mine");
  const answer = await handler(
    new Request("http://localhost/llm/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify({ model: "toy/llama", messages: question }),
    }),
  );
  expect(answer.status).toBe(200);
});
