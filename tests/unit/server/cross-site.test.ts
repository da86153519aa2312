/** What a web page of somebody else can do to a server on its reader's machine: nothing. */
import { describe, expect, test } from "vitest";
import { type AppOptions, createApp } from "../../../src/server/app.ts";
import { CHAT, COMPLETIONS, completion } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const EVIL = "https://evil.example";

/** An app as `pronk serve` makes it without keys, and what its engine ran. */
function local(options: Partial<AppOptions> = {}) {
  const toy = createToy();
  const app = createApp({
    engine: toy.engine,
    cors: { origins: "loopback" },
    hosts: [],
    ...options,
  });
  const ask = async (url: string, headers: Record<string, string>, method = "POST") => {
    const body = method === "POST" ? JSON.stringify(completion()) : null;
    const response = await app.request(url, { method, headers, body });
    return { response, text: await response.text() };
  };
  return { toy, ask };
}

describe("a page of another site", () => {
  test.each([
    ["text/plain, which needs no preflight", { origin: EVIL, "content-type": "text/plain" }],
    ["a sandboxed frame", { origin: "null", "content-type": "text/plain" }],
    ["a name that begins like this machine's", { origin: "http://localhost.evil.example" }],
    ["a name that ends like it", { origin: "http://evillocalhost" }],
    ["an extension", { origin: "chrome-extension://abcdef" }],
    ["another site of the browser's own words", { origin: EVIL, "sec-fetch-site": "cross-site" }],
    ["an origin that is none", { origin: "nonsense" }],
  ])("runs nothing here: %s", async (_, headers) => {
    const { toy, ask } = local();
    const { response, text } = await ask(`http://127.0.0.1:8787${COMPLETIONS}`, headers);
    expect(response.status).toBe(403);
    expect(JSON.parse(text).error).toMatchObject({ code: "origin_not_allowed", param: "origin" });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
    expect(toy.forwards()).toBe(0);
  });

  test("neither reads nor changes anything on any path", async () => {
    const { ask } = local();
    for (const path of ["/v1/models", "/lora-adapters", "/metrics", "/nothing", "/health"]) {
      const { response } = await ask(`http://localhost${path}`, { origin: EVIL }, "GET");
      expect([path, response.status]).toEqual([path, 403]);
    }
  });

  test("gets no leave by a preflight, of a private network neither", async () => {
    const { ask } = local();
    const headers = {
      origin: EVIL,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
      "access-control-request-private-network": "true",
    };
    const { response } = await ask(`http://localhost${CHAT}`, headers, "OPTIONS");
    const told = [...response.headers.keys()].filter((name) => name.startsWith("access-control"));
    expect(told).toEqual([]);
  });

  test("whose name was made to point here is told apart by it", async () => {
    const { toy, ask } = local();
    for (const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "0.0.0.0",
      "2130706433.example",
    ]) {
      const headers = { origin: `http://${host}:8787`, "sec-fetch-site": "same-origin" };
      const { response, text } = await ask(`http://${host}:8787${COMPLETIONS}`, headers);
      expect([host, response.status, JSON.parse(text).error.code]).toEqual([
        host,
        403,
        "host_not_allowed",
      ]);
      expect((await ask(`http://${host}:8787/none`, {}, "GET")).response.status).toBe(403);
    }
    expect(toy.forwards()).toBe(0);
  });
});

describe("who belongs here is let in", () => {
  test.each<[string, string, Record<string, string>]>([
    ["a program", "http://127.0.0.1:8787", {}],
    ["a program by another address of this machine", "http://127.8.0.1:8787", {}],
    ["a program by IPv6", "http://[::1]:8787", {}],
    ["the page of this server", "http://localhost:8787", { origin: "http://localhost:8787" }],
    ["a page in development", "http://localhost:8787", { origin: "http://127.0.0.1:5173" }],
    ["a name below localhost", "http://llm.localhost:8787", { origin: "https://a.localhost" }],
  ])("%s", async (_, base, headers) => {
    const { ask } = local();
    expect((await ask(base + COMPLETIONS, headers)).response.status).toBe(200);
  });

  test("a name and an origin that were given", async () => {
    const { ask } = local({ hosts: ["LLM.example"], cors: { origins: [EVIL] } });
    const { response } = await ask(`http://llm.example${COMPLETIONS}`, { origin: EVIL });
    expect(response.status).toBe(200);
    expect(response.headers.get("access-control-allow-origin")).toBe(EVIL);
    expect(
      (await ask(`http://llm.example${COMPLETIONS}`, { origin: "http://a.b" })).response.status,
    ).toBe(403);
  });

  test("the server's own page behind a proxy that ends TLS and has another name for it", async () => {
    const { ask } = local({ cors: { origins: [] }, hosts: ["inner.example"] });
    const headers = { origin: "https://outer.example", "sec-fetch-site": "same-origin" };
    expect((await ask(`http://inner.example${COMPLETIONS}`, headers)).response.status).toBe(200);
  });
});

test("no answer is taken for a page or a script", async () => {
  const { ask } = local();
  for (const path of ["/v1/models", "/%3Cscript%3E", "/health", "/docs", "/openapi.json"]) {
    const { response } = await ask(`http://localhost${path}`, {}, "GET");
    expect([path, response.headers.get("x-content-type-options")]).toEqual([path, "nosniff"]);
  }
  const foreign = await ask("http://evil.example/health", {}, "GET");
  expect(foreign.response.headers.get("x-content-type-options")).toBe("nosniff");
});
