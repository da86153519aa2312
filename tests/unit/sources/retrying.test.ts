import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { httpFolder, httpSource } from "../../../src/sources/http.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import {
  type RetryOptions,
  retry,
  retrying,
  retryingFolder,
} from "../../../src/sources/retrying.ts";
import type { ByteSource } from "../../../src/sources/source.ts";
import { type FaultServer, startFaultServer } from "./fault-server.ts";
import { equal, sampleBytes, testSource } from "./source-conformance.ts";

/** Waits that are written down instead. */
function counted(options: RetryOptions = {}): RetryOptions & { waits: number[] } {
  const waits: number[] = [];
  return { random: () => 0.5, sleep: async (ms) => void waits.push(ms), ...options, waits };
}

const passing = (retryAfterMs = 0) => new PronkError("source_failed", "s: broke", { retryAfterMs });

/** Delivers so many bytes per read, then fails; notes where reads start. */
function dripping(bytes: Uint8Array, most: number): ByteSource & { starts: number[] } {
  const starts: number[] = [];
  return {
    name: "s",
    size: bytes.length,
    starts,
    async readInto(destination, start, _, onProgress) {
      starts.push(start);
      const part = bytes.subarray(start, start + Math.min(most, destination.length));
      destination.set(part);
      onProgress?.(part.length);
      if (part.length < destination.length) throw passing();
    },
  };
}

testSource("a retried source", async (bytes) => retrying(memorySource(bytes, "bytes"), counted()));

test("a read goes on from the byte that it had reached", async () => {
  const bytes = sampleBytes(100);
  const source = dripping(bytes, 30);
  const destination = new Uint8Array(90);
  const seen: number[] = [];
  await retrying(source, counted()).readInto(destination, 10, undefined, (n) => seen.push(n));
  expect(equal(destination, bytes.subarray(10))).toBe(true);
  expect(source.starts).toEqual([10, 40, 70]);
  expect(seen).toEqual([30, 60, 90]);
});

test("a read over a bad line ends, if each try brings a mebibyte", async () => {
  const MiB = 1024 * 1024;
  const bytes = sampleBytes(8 * MiB);
  const destination = new Uint8Array(bytes.length);
  const options = counted({ attempts: 2 });
  await retrying(dripping(bytes, MiB), options).readInto(destination, 0);
  expect(equal(destination, bytes)).toBe(true);
  expect(options.waits).toEqual(Array(7).fill(150));

  await expect(
    retrying(dripping(bytes, MiB - 1), counted({ attempts: 2 })).readInto(destination, 0),
  ).rejects.toMatchObject({ code: "source_failed", message: "s: broke (2 tries)" });
});

describe("waits", () => {
  const fail = (options: RetryOptions, error: unknown = passing()) =>
    retry(() => Promise.reject(error), options).catch((reason) => reason);

  test.each([
    [0, [100, 200, 400, 800]],
    [0.5, [150, 300, 600, 1200]],
    [0.999, [199.9, 399.8, 799.6, 1599.2]],
  ])("grow exponentially, half of each at random (%d)", async (random, waits) => {
    const options = counted({ random: () => random });
    expect(await fail(options)).toMatchObject({ message: "s: broke (5 tries)" });
    expect(options.waits.map((ms) => Math.round(ms * 10) / 10)).toEqual(waits);
  });

  test("start and stop as asked, and never pass 30 s", async () => {
    const options = counted({ attempts: 4, baseMs: 20_000, random: () => 0.999 });
    await fail(options);
    expect(options.waits.map(Math.round)).toEqual([19_990, 29_985, 29_985]);
  });

  test("are no shorter than the server asked", async () => {
    const options = counted({ attempts: 3 });
    await fail(options, passing(7000));
    expect(options.waits).toEqual([7000, 7000]);
  });

  test("longer than 30 s are left to the caller", async () => {
    const options = counted();
    expect(await fail(options, passing(30_001))).toMatchObject({
      code: "source_failed",
      message: "s: broke, asks to wait 31 s",
      retryAfterMs: 30_001,
    });
    expect(options.waits).toEqual([]);
  });

  test("end at once when the signal fires", async () => {
    const controller = new AbortController();
    const waiting = retry(() => Promise.reject(passing(20_000)), {}, controller.signal);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "aborted" });
  });

  test.each([
    ["what no other try can help", new PronkError("source_failed", "changed")],
    ["what is not there", new PronkError("not_found", "gone")],
    ["an abort", new PronkError("aborted", "aborted")],
    ["a bug", new TypeError("bug")],
  ])("are not made for %s", async (_, error) => {
    const options = counted();
    expect(await fail(options, error)).toBe(error);
    expect(options.waits).toEqual([]);
  });
});

describe("over HTTP", () => {
  let server: FaultServer;
  beforeAll(async () => {
    server = await startFaultServer();
  });
  afterAll(() => server.close());
  beforeEach(() => {
    server.requests.length = 0;
  });

  test("breaks, early ends and busy answers cost no byte twice", async () => {
    const bytes = sampleBytes(1_000_000);
    server.objects.set("a", bytes);
    const source = retrying(await httpSource(`${server.url}/a`, { fetch }), counted());
    server.faults.push(
      { kind: "reset", after: 300_000 },
      { kind: "status", status: 503, headers: { "retry-after": "2" } },
      { kind: "truncate", after: 200_000 },
    );
    const destination = new Uint8Array(bytes.length);
    const seen: number[] = [];
    await source.readInto(destination, 0, undefined, (count) => seen.push(count));

    expect(equal(destination, bytes)).toBe(true);
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    const starts = server.requests
      .slice(1)
      .map(({ headers }) => Number(/^bytes=(\d+)-999999$/.exec(headers.range ?? "")?.[1]));
    // What was on its way when the connection broke may be lost.
    expect(starts[1]).toBeGreaterThan(0);
    expect(starts[1]).toBeLessThanOrEqual(300_000);
    expect(starts).toEqual([0, starts[1], starts[1], starts[1]! + 200_000]);
  });

  test("going on works where the server ignores ranges", async () => {
    const bytes = sampleBytes(1_000_000);
    server.objects.set("b", bytes);
    server.always = { kind: "ignore-range" };
    const source = retrying(await httpSource(`${server.url}/b`, { fetch }), counted());
    server.faults.push({ kind: "truncate", after: 400_000 });
    const destination = new Uint8Array(bytes.length);
    await source.readInto(destination, 0);
    server.always = { kind: "none" };
    expect(equal(destination, bytes)).toBe(true);
  });

  test("a change between two tries is not papered over", async () => {
    server.objects.set("c", sampleBytes(1_000_000, 1));
    const options = counted({
      sleep: async () => void server.objects.set("c", sampleBytes(1e6, 2)),
    });
    const source = retrying(await httpSource(`${server.url}/c`, { fetch }), options);
    server.faults.push({ kind: "truncate", after: 400_000 });
    await expect(source.readInto(new Uint8Array(1_000_000), 0)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("was changed while it was read"),
    });
  });

  test("a folder's objects are opened and read with tries enough", async () => {
    const bytes = sampleBytes(100);
    server.objects.set("f/d", bytes);
    const options = counted();
    const folder = retryingFolder(httpFolder(`${server.url}/f`, { fetch }), options);
    server.faults.push({ kind: "status", status: 503 }, { kind: "none" });
    const source = await folder.open("d");
    server.faults.push({ kind: "status", status: 429 });
    const destination = new Uint8Array(100);
    await source.readInto(destination, 0);

    expect(folder.name).toBe(`${server.url}/f`);
    expect(equal(destination, bytes)).toBe(true);
    expect(options.waits.length).toBe(2);
    expect((await folder.open("d", undefined, 77)).size).toBe(77);
    await expect(folder.open("e")).rejects.toMatchObject({ code: "not_found" });
  });
});
