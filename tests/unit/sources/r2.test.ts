import type { R2Bucket } from "@cloudflare/workers-types";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type R2BucketLike, r2Folder, r2Source } from "../../../src/sources/r2.ts";
import { equal, sampleBytes, testFolder, testSource } from "./source-conformance.ts";

let miniflare: Miniflare;
let simulator: Awaited<ReturnType<Miniflare["getR2Bucket"]>>;
let bucket: R2BucketLike;
beforeAll(async () => {
  miniflare = new Miniflare({
    modules: true,
    script: "export default {}",
    r2Buckets: ["MODELS"],
    cf: false,
  });
  simulator = await miniflare.getR2Bucket("MODELS");
  bucket = simulator as unknown as R2BucketLike;
}, 60_000);
afterAll(() => miniflare.dispose());

let keys = 0;
async function put(bytes: Uint8Array): Promise<string> {
  const key = `object-${keys++}`;
  await simulator.put(key, bytes);
  return key;
}

testSource("an R2 object", async (bytes) => r2Source(bucket, await put(bytes)));

testFolder("an R2 prefix", async (objects) => {
  const prefix = `folder-${keys++}`;
  for (const [name, bytes] of Object.entries(objects)) {
    await simulator.put(`${prefix}/${name}`, bytes);
  }
  return r2Folder(bucket, `${prefix}/`);
});

describe("an R2 object", () => {
  test("is described by Cloudflare's own types", () => {
    const accepts = (real: R2Bucket): R2BucketLike => real;
    expect(accepts).toBeTypeOf("function");
  });

  test("is named by its key", async () => {
    const key = await put(sampleBytes(10));
    expect((await r2Source(bucket, key)).name).toBe(`r2:${key}`);
    expect(r2Folder(bucket, "models/x/").name).toBe("r2:models/x");
  });

  test("is found at the top of the bucket by an empty prefix", async () => {
    const key = await put(sampleBytes(10));
    expect((await r2Folder(bucket, "").open(key)).size).toBe(10);
  });

  test.each([[undefined], [1000]])(
    "that is replaced in mid-load by one of its size is an error (size given: %s)",
    async (size) => {
      const key = await put(sampleBytes(1000, 1));
      const source = await r2Source(bucket, key, { size });
      await source.readInto(new Uint8Array(100), 0);
      await simulator.put(key, sampleBytes(1000, 2));

      const destination = new Uint8Array(100).fill(7);
      await expect(source.readInto(destination, 100)).rejects.toMatchObject({
        code: "source_failed",
        message: expect.stringMatching(`^r2:${key}: was changed while it was read: ETag .* is now`),
        retryAfterMs: undefined,
      });
      expect(destination.every((byte) => byte === 7)).toBe(true);
    },
  );

  test.each([[0], [1], [999], [1001]])(
    "that has %s bytes, where 1000 are told, is no copy of what was meant",
    async (bytes) => {
      const key = await put(sampleBytes(bytes));
      const source = await r2Source(bucket, key, { size: 1000 });
      await expect(source.readInto(new Uint8Array(1000), 0)).rejects.toMatchObject({
        code: "corrupt",
        message: `r2:${key}: ${bytes} bytes, expected 1000`,
        retryAfterMs: undefined,
      });
    },
  );

  test("that is deleted in mid-load is not found", async () => {
    const key = await put(sampleBytes(1000));
    const source = await r2Source(bucket, key);
    await simulator.delete(key);
    await expect(source.readInto(new Uint8Array(100), 0)).rejects.toMatchObject({
      code: "not_found",
      message: `r2:${key}: no such object`,
    });
  });

  test("is asked for by its version, and not at all for its size when that is known", async () => {
    const key = await put(sampleBytes(1000));
    const { etag } = (await bucket.head(key))!;
    const calls: unknown[] = [];
    const counted: R2BucketLike = {
      head(name) {
        calls.push("head");
        return bucket.head(name);
      },
      get(name, options) {
        calls.push(options);
        return bucket.get(name, options);
      },
    };
    const source = await r2Source(counted, key, { size: 1000 });
    await source.readInto(new Uint8Array(600), 0);
    await source.readInto(new Uint8Array(400), 600);
    expect(calls).toEqual([
      { range: { offset: 0, length: 600 } },
      { range: { offset: 600, length: 400 }, onlyIf: { etagMatches: etag } },
    ]);
  });

  test("whose bucket fails is a failure that may pass", async () => {
    const failing: R2BucketLike = {
      head: () => Promise.reject(new Error("head: We encountered an internal error (10001)")),
      get: () => Promise.reject(new Error("get: We encountered an internal error (10001)")),
    };
    const expected = { code: "source_failed", retryAfterMs: 0 };
    await expect(r2Source(failing, "a")).rejects.toMatchObject({
      ...expected,
      message: "r2:a: head: We encountered an internal error (10001)",
    });
    const source = await r2Source(failing, "a", { size: 10 });
    await expect(source.readInto(new Uint8Array(10), 0)).rejects.toMatchObject(expected);
  });

  test("whose body ends early, or stands still, is a failure that may pass", async () => {
    const bytes = sampleBytes(1000);
    const bodies: ((controller: ReadableStreamDefaultController) => void)[] = [
      (controller) => {
        controller.enqueue(bytes.subarray(0, 400));
        controller.close();
      },
      (controller) => controller.enqueue(bytes.subarray(0, 400)),
    ];
    const results: unknown[] = [];
    for (const start of bodies) {
      let cancelled = false;
      const body = new ReadableStream({
        start,
        cancel: () => {
          cancelled = true;
        },
      });
      const object = { size: 1000, etag: "e", body };
      const broken: R2BucketLike = { head: async () => object, get: async () => object };
      // The timeout fires soon: data has come, but too little.
      const sleep = () => new Promise<void>((resolve) => setImmediate(resolve));
      const source = await r2Source(broken, "a", { size: 1000, sleep });
      const destination = new Uint8Array(1000);
      const error = await source.readInto(destination, 0).catch((reason) => reason);
      expect(equal(destination.subarray(0, 400), bytes.subarray(0, 400))).toBe(true);
      results.push([error.code, error.message, error.retryAfterMs, cancelled]);
    }
    expect(results).toEqual([
      ["source_failed", "r2:a: the body ended after 400 of 1000 bytes", 0, false],
      ["source_failed", "r2:a: only 400 bytes in 30 s", 0, true],
    ]);
  });

  test("that is aborted in mid-body, or whose reader throws, lets go of it", async () => {
    let cancelled = 0;
    const object = () => ({
      size: 1000,
      etag: "e",
      body: new ReadableStream({
        start: (controller) => controller.enqueue(sampleBytes(400)),
        cancel: () => void cancelled++,
      }),
    });
    const slow: R2BucketLike = { head: async () => object(), get: async () => object() };
    const source = await r2Source(slow, "a");
    const controller = new AbortController();
    const read = source.readInto(new Uint8Array(1000), 0, controller.signal, () =>
      setImmediate(() => controller.abort()),
    );
    await expect(read).rejects.toMatchObject({ code: "aborted" });
    expect(cancelled).toBe(1);

    const thrown = source.readInto(new Uint8Array(1000), 0, undefined, () => {
      throw new Error("a bar that broke");
    });
    await expect(thrown).rejects.toThrow("a bar that broke");
    expect(cancelled).toBe(2);
  });

  test("that never answers can be aborted", async () => {
    const silent: R2BucketLike = {
      head: () => new Promise(() => undefined),
      get: () => new Promise(() => undefined),
    };
    const controller = new AbortController();
    const { signal } = controller;
    const opening = r2Source(silent, "a", { signal });
    const source = await r2Source(silent, "a", { size: 10 });
    const reading = source.readInto(new Uint8Array(10), 0, signal);
    controller.abort();
    await expect(opening).rejects.toMatchObject({ code: "aborted" });
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
  });
});
