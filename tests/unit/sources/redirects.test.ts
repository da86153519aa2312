import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type HttpSourceOptions, httpSource } from "../../../src/sources/http.ts";
import { type FaultServer, startFaultServer } from "./fault-server.ts";
import { sampleBytes } from "./source-conformance.ts";

let server: FaultServer;
beforeAll(async () => {
  server = await startFaultServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
  server.always = { kind: "none" };
});

const open = (name: string, options: Partial<HttpSourceOptions> = {}) =>
  httpSource(`${server.url}/${name}`, { fetch, ...options });

describe("redirects", () => {
  test("to another origin get nothing of who asks, back home they do", async () => {
    const bytes = sampleBytes(100);
    const name = "object";
    server.objects.set(name, bytes);
    const other = await startFaultServer();
    try {
      other.always = { kind: "redirect", to: `${server.url}/${name}` };
      server.faults.push({ kind: "redirect", to: `${other.url}/far?sig=theirs` });
      const headers = { authorization: "Bearer SECRET", "x-amz-security-token": "SECRET" };
      const source = await open("near?sig=ours", { headers });
      expect(source.size).toBe(100);
      expect(other.requests.length).toBe(1);
      expect(other.requests[0]?.headers.range).toBe("bytes=0-0");
      expect(JSON.stringify(other.requests[0])).not.toMatch(/SECRET|ours/);
      expect(server.requests.map(({ headers }) => headers["x-amz-security-token"])).toEqual([
        "SECRET",
        "SECRET",
      ]);
    } finally {
      await other.close();
    }
  });

  test("in a circle are refused after five", async () => {
    server.always = { kind: "redirect", to: "/b" };
    await expect(open("a")).rejects.toMatchObject({
      code: "source_failed",
      message: `${server.url}/a: more than 5 redirects`,
      retryAfterMs: undefined,
    });
    expect(server.requests.length).toBe(6);
  });

  test.each([
    ["http://[nowhere", "redirected to what is no URL"],
    ["ftp://elsewhere/a", "redirected to ftp://elsewhere, which is not followed"],
    ["http://me:secret@elsewhere/a", "redirected to http://elsewhere, which is not followed"],
  ])("to %s are refused", async (to, message) => {
    server.faults.push({ kind: "redirect", to });
    await expect(open("a")).rejects.toMatchObject({
      code: "source_failed",
      message: `${server.url}/a: ${message}`,
    });
  });

  test("from https to http are refused", async () => {
    const asked: string[] = [];
    const fake = (async (url: string) => {
      asked.push(url);
      return new Response(null, { status: 302, headers: { location: "http://store/a" } });
    }) as typeof fetch;
    await expect(httpSource("https://store/a", { fetch: fake })).rejects.toMatchObject({
      code: "source_failed",
      message: "https://store/a: redirected to http://store, which is not followed",
    });
    expect(asked).toEqual(["https://store/a"]);
  });

  test("that a browser hides are followed by it, with Authorization alone", async () => {
    const asked: [string, RequestInit][] = [];
    const browser = (async (url: string, init: RequestInit) => {
      asked.push([url, init]);
      if (init.redirect === "manual") {
        return Object.defineProperty(new Response(), "type", { value: "opaqueredirect" });
      }
      return new Response("x", { headers: { "content-length": "1" } });
    }) as typeof fetch;
    const headers = { authorization: "Bearer A", "x-key": "K" };
    const source = await httpSource("https://store/a", { fetch: browser, headers });
    expect(source.size).toBe(1);
    expect(asked.map(([url, { headers }]) => [url, headers])).toEqual([
      [
        "https://store/a",
        {
          "accept-encoding": "identity",
          range: "bytes=0-0",
          authorization: "Bearer A",
          "x-key": "K",
        },
      ],
      [
        "https://store/a",
        { "accept-encoding": "identity", range: "bytes=0-0", authorization: "Bearer A" },
      ],
    ]);
  });

  test("that end in a refusal say where", async () => {
    const other = await startFaultServer();
    try {
      server.faults.push({ kind: "redirect", to: `${other.url}/gone` });
      await expect(open("a")).rejects.toMatchObject({
        code: "not_found",
        message: `${server.url}/a, redirected to ${other.url}: HTTP 404 Not Found`,
      });
    } finally {
      await other.close();
    }
  });
});
