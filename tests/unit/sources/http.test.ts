import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type HttpSourceOptions, httpFolder, httpSource } from "../../../src/sources/http.ts";
import type { Sleep } from "../../../src/sources/sleep.ts";
import { type Fault, type FaultServer, startFaultServer } from "./fault-server.ts";
import { equal, sampleBytes, testFolder, testSource } from "./source-conformance.ts";

let server: FaultServer;
beforeAll(async () => {
  server = await startFaultServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.faults.length = 0;
  server.requests.length = 0;
  server.always = { kind: "none" };
});

/** Timeouts that never come: a slow machine must not decide a test. */
const never: Sleep = (_, signal) =>
  new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("stopped"))));
/** Timeouts of this length come soon, others never. */
const soon =
  (limitMs: number): Sleep =>
  (ms, signal) =>
    ms === limitMs ? new Promise((resolve) => setTimeout(resolve, 20)) : never(ms, signal);

/** For a message within a pattern. */
const literally = (text: string): string => text.replace(/[[\](){}.*+?^$|]/g, "\\$&");

let objects = 0;
function put(bytes: Uint8Array): string {
  const name = `object-${objects++}`;
  server.objects.set(name, bytes);
  return name;
}
const open = (name: string, options: Partial<HttpSourceOptions> = {}) =>
  httpSource(`${server.url}/${name}`, { fetch, sleep: never, ...options });

testSource("an HTTP object", async (bytes) => open(put(bytes)));
testSource("an HTTP object whose size was given", async (bytes) =>
  open(put(bytes), { size: bytes.length }),
);
testSource("an HTTP object of a server without ranges", async (bytes) => {
  server.always = { kind: "ignore-range" };
  return open(put(bytes));
});
testFolder("an HTTP folder", async (files) => {
  const prefix = `folder-${objects++}`;
  for (const [name, bytes] of Object.entries(files)) server.objects.set(`${prefix}/${name}`, bytes);
  return httpFolder(`${server.url}/${prefix}/?token=secret`, { fetch, sleep: never });
});

describe("requests", () => {
  test("ask for exactly the bytes that are wanted, uncompressed, one by one", async () => {
    const source = await open(put(sampleBytes(1000)));
    await source.readInto(new Uint8Array(100), 50);
    expect(server.requests.map(({ method, headers }) => [method, headers.range])).toEqual([
      ["GET", "bytes=0-0"],
      ["GET", "bytes=50-149"],
    ]);
    // fetch itself may add one to ours.
    for (const { headers } of server.requests) {
      expect(headers["accept-encoding"]).toMatch(/^identity(, identity)?$/);
    }
  });

  test("are saved when the size is known, and when there is nothing to read", async () => {
    const source = await open(put(sampleBytes(1000)), { size: 1000 });
    await source.readInto(new Uint8Array(0), 50);
    expect(server.requests).toEqual([]);
    await source.readInto(new Uint8Array(1000), 0);
    expect(server.requests.length).toBe(1);
  });

  test("use their connections again", async () => {
    const source = await open(put(sampleBytes(500_000)));
    for (let i = 0; i < 20; i++) await source.readInto(new Uint8Array(20_000), i * 20_000);
    expect(new Set(server.requests.map(({ port }) => port)).size).toBeLessThanOrEqual(2);
  });

  test("carry the given headers and the URL's query and user, which no name shows", async () => {
    const name = put(sampleBytes(10));
    const url = `${server.url.replace("://", "://me:p%C3%A4ss@")}/${name}?X-Sig=secret#part`;
    const source = await httpSource(url, { fetch, sleep: never, headers: { "X-Key": "k" } });
    await source.readInto(new Uint8Array(10), 0);

    expect(source.name).toBe(`${server.url}/${name}`);
    const [, request] = server.requests;
    expect(request?.url).toBe(`/${name}?X-Sig=secret`);
    expect(request?.headers["x-key"]).toBe("k");
    expect(Buffer.from(request?.headers.authorization?.slice(6) ?? "", "base64").toString()).toBe(
      "me:päss",
    );
  });

  test("of a folder carry its query", async () => {
    server.objects.set("q/a.bin", sampleBytes(10));
    const folder = httpFolder(`${server.url}/q?sig=secret`, { fetch, sleep: never });
    const source = await folder.open("a.bin");
    expect([folder.name, source.name]).toEqual([`${server.url}/q`, `${server.url}/q/a.bin`]);
    expect(server.requests[0]?.url).toBe("/q/a.bin?sig=secret");
  });

  test("follow redirects", async () => {
    const bytes = sampleBytes(100);
    const name = put(bytes);
    server.faults.push({ kind: "redirect", to: `/${name}` });
    const source = await open("elsewhere");
    server.faults.push({ kind: "redirect", to: `/${name}` });
    const destination = new Uint8Array(100);
    await source.readInto(destination, 0);
    expect(equal(destination, bytes)).toBe(true);
  });
});

describe("opening", () => {
  test.each<[string, Fault, object]>([
    ["404", { kind: "status", status: 404 }, { code: "not_found", retryAfterMs: undefined }],
    ["410", { kind: "status", status: 410 }, { code: "not_found" }],
    ["403", { kind: "status", status: 403 }, { code: "source_failed", retryAfterMs: undefined }],
    ["401", { kind: "status", status: 401 }, { code: "source_failed", retryAfterMs: undefined }],
    ["500", { kind: "status", status: 500 }, { code: "source_failed", retryAfterMs: 0 }],
    ["503", { kind: "status", status: 503 }, { code: "source_failed", retryAfterMs: 0 }],
    [
      "429 with seconds",
      { kind: "status", status: 429, headers: { "retry-after": "7" } },
      { code: "source_failed", retryAfterMs: 7000 },
    ],
    [
      "503 with a date, by the server's clock",
      {
        kind: "status",
        status: 503,
        headers: {
          date: "Wed, 21 Oct 2015 07:28:00 GMT",
          "retry-after": "Wed, 21 Oct 2015 07:28:12 GMT",
        },
      },
      { code: "source_failed", retryAfterMs: 12_000 },
    ],
    [
      "503 with nonsense",
      { kind: "status", status: 503, headers: { "retry-after": "soon" } },
      { code: "source_failed", retryAfterMs: 0 },
    ],
  ])("reports HTTP %s", async (_, fault, expected) => {
    server.faults.push(fault);
    const name = put(sampleBytes(10));
    const status = (fault as { status: number }).status;
    await expect(open(name)).rejects.toMatchObject({
      ...expected,
      message: expect.stringContaining(`${server.url}/${name}: HTTP ${status}`),
    });
  });

  test.each<[string, Fault]>([
    ["sends everything, of unknown length", { kind: "ignore-range", announce: false }],
    ["hides the size", { kind: "headers", headers: { "content-range": "bytes 0-0/*" } }],
  ])("refuses a server that %s", async (_, fault) => {
    server.faults.push(fault);
    await expect(open(put(sampleBytes(10)))).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("the server does not say its size"),
    });
  });

  test("refuses a compressed body", async () => {
    server.faults.push({ kind: "headers", headers: { "content-encoding": "br" } });
    await expect(open(put(sampleBytes(10)))).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("sent compressed (br)"),
    });
  });

  test.each([
    "no URL ?sig=secret",
    "ftp://me:secret@x/y",
    "https://%zz:secret@x/y",
    "data:,secret",
  ])("refuses %j without repeating it", async (url) => {
    const error = await httpSource(url, { fetch }).catch((reason) => reason);
    expect(error).toMatchObject({ name: "PronkError", code: "bad_request" });
    expect(error.message).not.toContain("secret");
  });

  test("says why nothing answers, and that it may pass", async () => {
    const closed = await startFaultServer();
    await closed.close();
    await expect(
      httpSource(`${closed.url}/a?sig=secret`, { fetch, sleep: never }),
    ).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(/^http:\/\/127.0.0.1:\d+\/a: .*ECONNREFUSED/),
      retryAfterMs: 0,
    });
  });

  test("shows no URL that a runtime's own error holds", async () => {
    const failing = () =>
      Promise.reject(new TypeError("bad: http://u:secret@x/?sig=secret, sorry"));
    await expect(httpSource("http://x/y", { fetch: failing })).rejects.toMatchObject({
      message: "http://x/y: bad: (URL) sorry",
    });
  });

  test("gives up on a server that never answers", async () => {
    server.faults.push({ kind: "hang" });
    await expect(open(put(sampleBytes(10)), { sleep: soon(10_000) })).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("no answer for 10 s"),
      retryAfterMs: 0,
    });
  });

  test("is aborted by its signal", async () => {
    server.faults.push({ kind: "hang" });
    const controller = new AbortController();
    const opening = open(put(sampleBytes(10)), { signal: controller.signal });
    setTimeout(() => controller.abort(), 5);
    await expect(opening).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("reading", () => {
  const bytes = sampleBytes(300_000);

  test.each<[string, Fault, string, number]>([
    ["the connection breaks", { kind: "reset", after: 1000 }, "", 1000],
    ["the connection breaks at once", { kind: "reset", after: 0 }, "", 0],
    [
      "the body ends early",
      { kind: "truncate", after: 1000 },
      "the body ended after 1000 of 200000 bytes",
      1000,
    ],
    [
      "the body has less than was announced",
      { kind: "headers", headers: { "content-length": "10" } },
      "",
      0,
    ],
    ["the server is busy", { kind: "status", status: 503 }, "HTTP 503", 0],
  ])("that fails since %s may be tried again from the byte reached", async (...row) => {
    const [, fault, message, least] = row;
    const source = await open(put(bytes));
    server.faults.push(fault);
    const destination = new Uint8Array(200_000);
    let arrived = 0;
    const read = source.readInto(destination, 100, undefined, (count) => {
      arrived = count;
    });
    await expect(read).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(`^${source.name}: .*${message}`),
      retryAfterMs: 0,
    });
    expect(arrived).toBeGreaterThanOrEqual(least);
    expect(equal(destination.subarray(0, arrived), bytes.subarray(100, 100 + arrived))).toBe(true);
  });

  test("that stands still is given up, keeping what arrived", async () => {
    const name = put(bytes);
    server.faults.push({ kind: "stall", after: 5000 });
    const source = await open(name, { size: bytes.length, sleep: soon(30_000) });
    const destination = new Uint8Array(bytes.length);
    let arrived = 0;
    const read = source.readInto(destination, 0, undefined, (count) => {
      arrived = count;
    });
    await expect(read).rejects.toMatchObject({
      code: "source_failed",
      message: `${source.name}: no data for 30 s`,
      retryAfterMs: 0,
    });
    expect(equal(destination.subarray(0, arrived), bytes.subarray(0, arrived))).toBe(true);
  });

  test("that drips is given up: single bytes would hold a load for days", async () => {
    const name = put(bytes.subarray(0, 100));
    server.faults.push({ kind: "drip" });
    const sleep: Sleep = (ms, signal) =>
      ms === 30_000 ? new Promise((resolve) => setTimeout(resolve, 40)) : never(ms, signal);
    const source = await open(name, { size: 100, sleep });
    const destination = new Uint8Array(100);
    let arrived = 0;
    const read = source.readInto(destination, 0, undefined, (count) => {
      arrived = count;
    });
    await expect(read).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(/: only \d+ bytes in 30 s$/),
      retryAfterMs: 0,
    });
    expect(arrived).toBeGreaterThan(0);
    expect(equal(destination.subarray(0, arrived), bytes.subarray(0, arrived))).toBe(true);
  });

  test("that is slow but moves goes on, however often its time is up", async () => {
    const name = put(bytes);
    server.faults.push({ kind: "drip", bytes: 4096 });
    let timeouts = 0;
    let timeOut = (): void => undefined;
    const sleep: Sleep = () =>
      new Promise((resolve) => {
        timeOut = () => {
          timeouts++;
          resolve();
        };
      });
    const source = await open(name, { size: bytes.length, sleep });
    const destination = new Uint8Array(bytes.length);
    let since = 0;
    await source.readInto(destination, 0, undefined, (count) => {
      if (count - since < 4096) return;
      since = count;
      timeOut();
    });
    expect(equal(destination, bytes)).toBe(true);
    expect(timeouts).toBeGreaterThan(1);
  });

  test("is aborted in mid-body, and the connection closed", async () => {
    const source = await open(put(bytes));
    server.faults.push({ kind: "stall", after: 5000 });
    const controller = new AbortController();
    const read = source.readInto(new Uint8Array(bytes.length), 0, controller.signal, () =>
      controller.abort(),
    );
    await expect(read).rejects.toMatchObject({ code: "aborted" });
    expect(await server.requests.at(-1)?.taken).toBe(false);
  });

  test.each<[string, Fault, string]>([
    [
      "another range",
      { kind: "headers", headers: { "content-range": "bytes 200-299/300000" } },
      "asked for bytes [100, 200), got [200, 300)",
    ],
    [
      "a shorter range",
      { kind: "headers", headers: { "content-range": "bytes 100-150/300000" } },
      "asked for bytes [100, 200), got [100, 151)",
    ],
    [
      "another total",
      { kind: "headers", headers: { "content-range": "bytes 100-199/300001" } },
      "has 300001 bytes instead of 300000: it was changed",
    ],
    [
      "206 without a range",
      { kind: "headers", headers: { "content-range": undefined } },
      "HTTP 206 with content-range missing",
    ],
    [
      "a malformed range",
      { kind: "headers", headers: { "content-range": "bytes 100-" } },
      "HTTP 206 with content-range bytes 100-",
    ],
    ["another ETag", { kind: "headers", headers: { etag: '"other"' } }, 'is now ETag "other"'],
    ["no ETag any more", { kind: "headers", headers: { etag: undefined } }, "is now undefined"],
    [
      "a compressed body",
      { kind: "headers", headers: { "content-encoding": "br" } },
      "sent compressed (br)",
    ],
  ])("refuses an answer with %s, which no other try can help", async (_, fault, message) => {
    const source = await open(put(bytes));
    server.faults.push(fault);
    const destination = new Uint8Array(100).fill(7);
    await expect(source.readInto(destination, 100)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(`^${source.name}: .*${literally(message)}`),
      retryAfterMs: undefined,
    });
    expect(destination.every((byte) => byte === 7)).toBe(true);
  });

  test.each([[undefined], [300_000]])(
    "an object replaced in mid-load by one of its size is an error (size given: %s)",
    async (size) => {
      const name = put(bytes);
      const source = await open(name, { size });
      await source.readInto(new Uint8Array(100), 0);
      server.objects.set(name, sampleBytes(300_000, 2));
      await expect(source.readInto(new Uint8Array(100), 100)).rejects.toMatchObject({
        code: "source_failed",
        message: expect.stringMatching(
          /was changed while it was read: ETag "\w+" is now ETag "\w+"/,
        ),
        retryAfterMs: undefined,
      });
    },
  );

  test("an object without ETag is told by its Last-Modified", async () => {
    const modified = (date: string): Fault => ({
      kind: "headers",
      headers: { etag: undefined, "last-modified": date },
    });
    server.faults.push(modified("Wed, 21 Oct 2015 07:28:00 GMT"));
    const source = await open(put(bytes));
    server.faults.push(modified("Wed, 21 Oct 2015 07:28:00 GMT"));
    await source.readInto(new Uint8Array(100), 0);
    server.faults.push(modified("Wed, 21 Oct 2015 07:28:01 GMT"));
    await expect(source.readInto(new Uint8Array(100), 0)).rejects.toMatchObject({
      message: expect.stringContaining("is now Last-Modified Wed, 21 Oct 2015 07:28:01 GMT"),
    });
  });

  test("an object that was cut in mid-load is an error that says its size now", async () => {
    const name = put(bytes);
    const source = await open(name);
    server.objects.set(name, bytes.subarray(0, 50));
    await expect(source.readInto(new Uint8Array(100), 100)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("has 50 bytes instead of 300000: it was changed"),
    });
  });

  test.each([[0], [1], [999], [1001]])(
    "an object of %s bytes, where 1000 are told, is no copy of what was meant",
    async (count) => {
      const source = await open(put(bytes.subarray(0, count)), { size: 1000 });
      await expect(source.readInto(new Uint8Array(1000), 0)).rejects.toMatchObject({
        code: "corrupt",
        message: `${source.name}: ${count} bytes, expected 1000`,
        retryAfterMs: undefined,
      });
    },
  );

  test("an object that was deleted in mid-load is not found", async () => {
    const name = put(bytes);
    const source = await open(name);
    server.objects.delete(name);
    await expect(source.readInto(new Uint8Array(100), 0)).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("takes no more of a body than it wants", async () => {
    const name = put(new Uint8Array(17 * 1024 * 1024));
    server.always = { kind: "ignore-range" };
    const source = await open(name);
    await source.readInto(new Uint8Array(10), 0);
    server.always = { kind: "headers", headers: { etag: '"other"' } };
    await source.readInto(new Uint8Array(17 * 1024 * 1024), 0).catch(() => undefined);
    const taken = await Promise.all(server.requests.map((request) => request.taken));
    expect(taken).toEqual([false, false, false]);
  });

  test("leaves no timeout behind", async () => {
    let running = 0;
    const sleep: Sleep = async (ms, signal) => {
      running++;
      await never(ms, signal).catch(() => undefined);
      running--;
    };
    const source = await open(put(bytes), { sleep });
    await source.readInto(new Uint8Array(1000), 0);
    server.faults.push({ kind: "status", status: 403 });
    await source.readInto(new Uint8Array(1000), 0).catch(() => undefined);
    await new Promise(setImmediate);
    expect(running).toBe(0);
  });

  test("far into an object of a server without ranges is refused", async () => {
    server.always = { kind: "ignore-range" };
    const large = new Uint8Array(17 * 1024 * 1024);
    const source = await open(put(large));
    await source.readInto(new Uint8Array(10), 16 * 1024 * 1024);
    await expect(source.readInto(new Uint8Array(10), 16 * 1024 * 1024 + 1)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("ignores ranges, and byte 16777217 is too far"),
      retryAfterMs: undefined,
    });
  });
});
