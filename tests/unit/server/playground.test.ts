/** The page at `/`: its headers, its caching, and its place below other people's paths. */
import { readFileSync } from "node:fs";
import { Hono } from "hono";
import { mount } from "hono/mount";
import { describe, expect, test } from "vitest";
import { hostPlayground } from "../../../src/platform/host/playground-files.ts";
import { createApp, type PlaygroundFiles } from "../../../src/server/app.ts";
import { createToy } from "./toy-engine.ts";

const { engine } = createToy();

const SCRIPT = "playground/server-page-5Y5YR3Q5.js";
const FILES: Readonly<Record<string, string>> = {
  "index.html": `<!doctype html><script type="module" src="./${SCRIPT}"></script>`,
  [SCRIPT]: "export {};",
  "playground/notes.exe": "of no type that the build writes",
};
const playground: PlaygroundFiles = {
  read: async (name) =>
    name in FILES ? new Uint8Array(new TextEncoder().encode(FILES[name])) : undefined,
};
const app = createApp({ engine, playground, auth: { keys: ["secret"] } });

test("the page needs no key, and may load and ask nothing but its own origin", async () => {
  const answer = await app.request("/");
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(await answer.text()).toBe(FILES["index.html"]);
  const policy = new Map(
    answer.headers
      .get("content-security-policy")
      ?.split("; ")
      .map((directive) => directive.split(/ (.*)/, 2) as [string, string]),
  );
  expect(policy.get("default-src")).toBe("'none'");
  expect(policy.get("script-src")).toBe("'self' 'wasm-unsafe-eval'");
  for (const directive of ["base-uri", "form-action", "frame-ancestors"]) {
    expect(policy.get(directive), directive).toBe("'none'");
  }
  expect([...policy.values()].join(" ")).not.toMatch(
    /unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')|\*|https?:/,
  );
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
  });
});

test("a file whose name has its hash is kept for good", async () => {
  const answer = await app.request(`/${SCRIPT}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
  expect(answer.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  expect(answer.headers.get("cross-origin-embedder-policy")).toBe("require-corp");
  expect(await answer.text()).toBe(FILES[SCRIPT]);
});

test.each(["/", `/${SCRIPT}`])("%s is sent once for one ETag", async (path) => {
  const tag = (await app.request(path)).headers.get("etag") ?? "";
  expect(tag).toMatch(/^"[0-9a-f]{32}"$/);
  for (const asked of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
    const answer = await app.request(path, { headers: { "if-none-match": asked } });
    expect(answer.status, asked).toBe(304);
    expect(await answer.text()).toBe("");
    expect(answer.headers.get("etag")).toBe(tag);
  }
  const other = await app.request(path, { headers: { "if-none-match": '"other"' } });
  expect(other.status).toBe(200);
});

test("two files have two ETags", async () => {
  const tags = await Promise.all(
    ["/", `/${SCRIPT}`].map(async (path) => (await app.request(path)).headers.get("etag")),
  );
  expect(new Set(tags).size).toBe(2);
});

test("HEAD is answered as GET, without the bytes", async () => {
  const answer = await app.request("/", { method: "HEAD" });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("etag")).not.toBeNull();
  expect(await answer.text()).toBe("");
});

test.each([
  "/playground/none.js",
  "/playground/notes.exe",
  "/playground/..%2findex.html",
  "/playground/%2e%2e%2findex.html",
  "/playground/",
  "/index.html",
])("%s is no file of the page", async (path) => {
  const answer = await app.request(path);
  expect(answer.status).toBe(404);
  expect((await answer.json()).error.code).toBe("unknown_url");
});

test("nothing is written to the page, and it can be turned off", async () => {
  const posted = await app.request("/", { method: "POST" });
  expect(posted.status).toBe(405);
  expect(posted.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
  expect((await createApp({ engine }).request("/")).status).toBe(404);
});

describe("below a path", () => {
  const mounts: [string, string, { request: Hono["request"] }][] = [
    ["by route() at /llm", "/llm/", outer("/llm")],
    ["by route() at /", "/", outer("/")],
    ["by basePath()", "/a/b/", new Hono().basePath("/a").route("/b", inner())],
    ["by hono/mount", "/llm/", new Hono().all("/llm/*", mount(inner().fetch))],
  ];
  test.each(mounts)("mounted %s, the page and its script are found", async (_, base, around) => {
    const page = await around.request(base);
    expect(page.status).toBe(200);
    const [, source] = /src="([^"]+)"/.exec(await page.text()) ?? [];
    const script = await around.request(new URL(source, `http://localhost${base}`));
    expect(await script.text()).toBe(FILES[SCRIPT]);
  });

  test("without its slash the page is found behind it, with its query", async () => {
    const answer = await outer("/llm").request("/llm?model=a");
    expect(answer.status).toBe(308);
    const { href } = new URL(answer.headers.get("location") ?? "", "http://localhost/llm?model=a");
    expect(href).toBe("http://localhost/llm/?model=a");
  });

  test("the app around keeps its own paths", async () => {
    const around = outer("/llm");
    expect(await (await around.request("/")).text()).toBe("their page");
    expect((await around.request("/llm/nowhere")).status).toBe(404);
    expect((await around.request("/llm/", { method: "POST" })).status).toBe(404);
  });

  function inner(): Hono {
    return createApp({ engine, playground }) as unknown as Hono;
  }

  function outer(path: string): Hono {
    const around = new Hono();
    if (path !== "/") around.get("/", (c) => c.text("their page"));
    return around.route(path, inner());
  }
});

describe("the files beside the package", () => {
  const asked: string[] = [];
  const files = hostPlayground({
    async readFile(path) {
      asked.push(String(path));
      return readFileSync(path);
    },
  });

  test.each(["../package.json", "playground/../../index.html", "/etc/passwd", ".hidden", "a//b"])(
    "%s is not looked for",
    async (name) => {
      expect(await files.read(name)).toBeUndefined();
      expect(asked).toEqual([]);
    },
  );

  test("what is not there is undefined", async () => {
    expect(await files.read("playground/none.js")).toBeUndefined();
    expect(asked.map((url) => /(?:dist\/)?playground\/server.*/.exec(url)?.[0])).toEqual([
      "playground/server/playground/none.js",
      "dist/playground/server/playground/none.js",
    ]);
  });
});
