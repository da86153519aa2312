/** The parts of measuring in a browser that need none: the page's server, and the clock. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { DECODE_STEPS, PREFILL_TOKENS } from "../../../src/cli/bench-workload.ts";

// Plain JavaScript without declarations, so that scripts run unbuilt.
const script = (name: string) =>
  import(new URL(`../../../scripts/bench/browser/${name}.mjs`, import.meta.url).href);
const { byteRange, mountedFile, servePage } = await script("page-server");
const { measureGenerator, stopwatch } = await script("workload");

const folder = mkdtempSync(join(tmpdir(), "pronk-page-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ["bytes=2-4", { start: 2, end: 5 }],
  ["bytes=2-", { start: 2, end: 10 }],
  ["bytes=2-99", { start: 2, end: 10 }],
  ["bytes=10-", undefined],
  ["bytes=-3", undefined],
  [undefined, undefined],
])("of ten bytes, the range %s is %o", (header, range) => {
  expect(byteRange(header, 10)).toEqual(range);
});

describe("a mount", () => {
  const mounts = new Map([
    ["/", "/site/index.html"],
    ["/a/", "/first"],
    ["/a/b/", "/second"],
  ]);
  test.each([
    ["/", "/site/index.html"],
    ["/a/x.js", "/first/x.js"],
    ["/a/b/x.js", "/second/x.js"],
    ["/other", undefined],
    ["/a/%2e%2e/secret", undefined],
    ["/a/x/../../../secret", undefined],
    ["/a/%2Fetc/passwd", undefined],
  ])("gives for %s the file %s", (path, file) => {
    expect(mountedFile(mounts, path)).toBe(file);
  });
});

describe("a page's server", () => {
  const file = join(folder, "digits.json");
  writeFileSync(file, "0123456789");
  const serve = () => servePage({ module: "/m.mjs" }, { "/digits": file, "/all/": folder });

  test("sends the page, its setting, files and ranges of them, and nothing else", async () => {
    const server = await serve();
    const get = (path: string, headers = {}) => fetch(new URL(path, server.url), { headers });
    try {
      expect(await (await get("/")).text()).toContain("/page/page.mjs");
      expect((await get("/page/page.mjs")).headers.get("content-type")).toBe("text/javascript");
      expect(await (await get("/setting.json")).json()).toEqual({ module: "/m.mjs" });
      expect(await (await get("/all/digits.json")).text()).toBe("0123456789");
      const part = await get("/digits", { range: "bytes=3-5" });
      expect(part.status).toBe(206);
      expect(part.headers.get("content-range")).toBe("bytes 3-5/10");
      expect(await part.text()).toBe("345");
      expect((await get("/all/none")).status).toBe(404);
      expect((await get("/all/")).status).toBe(404);
      expect(await rawStatus(server.url, "/all/%E0%A4%A")).toBe(400);
    } finally {
      await server.close();
    }
  });

  test("hands on what the page sends, or its error", async () => {
    const [good, bad] = [await serve(), await serve()];
    const send = (url: string, body: unknown) =>
      fetch(new URL("/answer", url), { method: "POST", body: JSON.stringify(body) });
    try {
      await send(good.url, { ids: [1, 2] });
      await send(bad.url, { error: "no such thing" });
      expect(await good.answer).toEqual({ ids: [1, 2] });
      await expect(bad.answer).rejects.toThrow("no such thing");
    } finally {
      await Promise.all([good.close(), bad.close()]);
    }
  });
});

test("a stopwatch times the first token and the rest, and refuses another count", () => {
  let now = 100;
  const watch = stopwatch(() => now);
  for (const time of [150, 160, 190]) {
    now = time;
    watch.token();
  }
  expect(watch.times(3)).toEqual({ firstMs: 50, restMs: 40 });
  expect(() => watch.times(4)).toThrow("3 tokens came, 4 were asked for");
});

test("the work is timed without its first round, by prompts that share no prefix", async () => {
  const prompts: { first: number; length: number; tokens: number }[] = [];
  const generate = async (ids: readonly number[], tokens: number) => {
    prompts.push({ first: ids[0], length: ids.length, tokens });
    const ms = prompts.length <= 2 ? 1e6 : 2000;
    return { firstMs: ms, restMs: ms };
  };
  const { prefill, decode } = await measureGenerator({ vocab: 1000, generate }, 2);
  expect(prefill).toEqual([PREFILL_TOKENS / 2, PREFILL_TOKENS / 2]);
  expect(decode).toEqual([DECODE_STEPS / 2, DECODE_STEPS / 2]);
  const read = prompts.filter(({ tokens }) => tokens === 1);
  expect(read.map(({ length }) => length)).toEqual([
    PREFILL_TOKENS,
    PREFILL_TOKENS,
    PREFILL_TOKENS,
  ]);
  expect(new Set(read.map(({ first }) => first)).size).toBe(3);
});

/** As it is: fetch would repair the path. */
function rawStatus(base: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(base);
    request({ hostname, port, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
