import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { readVerified } from "../../../src/sources/verified.ts";
import { equal, sampleBytes } from "./source-conformance.ts";

const bytes = sampleBytes(100_000);
const sha256 = createHash("sha256").update(bytes).digest("hex");
const source = (content: Uint8Array) => memorySource(content, `${sha256}.bin`);

test("an object that is what its name says arrives in place, in WebAssembly memory too", async () => {
  const memory = new WebAssembly.Memory({ initial: 4 });
  const destination = new Uint8Array(memory.buffer, 65_537, bytes.length);
  const seen: number[] = [];
  await readVerified(source(bytes), sha256, destination, { onProgress: (n) => seen.push(n) });
  expect(equal(destination, bytes)).toBe(true);
  expect(seen).toEqual([100_000]);
});

test("an empty object has a hash too", async () => {
  const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  await expect(
    readVerified(source(new Uint8Array(0)), empty, new Uint8Array(0)),
  ).resolves.toBeUndefined();
});

describe("refuses", () => {
  test.each([0, 50_000, 99_999])("one flipped bit at byte %i", async (at) => {
    const flipped = bytes.slice();
    flipped[at]! ^= 1;
    const found = createHash("sha256").update(flipped).digest("hex");
    await expect(
      readVerified(source(flipped), sha256, new Uint8Array(bytes.length)),
    ).rejects.toMatchObject({
      code: "corrupt",
      message: `${sha256}.bin: SHA-256 ${found}, expected ${sha256}`,
    });
  });

  test.each([99_999, 100_001])("an object of %i bytes, without reading it", async (length) => {
    const destination = new Uint8Array(100_000).fill(7);
    await expect(
      readVerified(source(sampleBytes(length)), sha256, destination),
    ).rejects.toMatchObject({
      code: "corrupt",
      message: `${sha256}.bin: ${length} bytes, expected 100000`,
    });
    expect(destination.every((byte) => byte === 7)).toBe(true);
  });
});

test("failures of the source pass through", async () => {
  const failure = new PronkError("source_failed", "s: broke", { retryAfterMs: 0 });
  const broken = { name: "s", size: 3, readInto: () => Promise.reject(failure) };
  await expect(readVerified(broken, sha256, new Uint8Array(3))).rejects.toBe(failure);
});

test("the signal is heeded before and after reading", async () => {
  const aborted = readVerified(source(bytes), sha256, new Uint8Array(bytes.length), {
    signal: AbortSignal.abort(),
  });
  await expect(aborted).rejects.toMatchObject({ code: "aborted" });

  const controller = new AbortController();
  const late = readVerified(source(bytes), sha256, new Uint8Array(bytes.length), {
    signal: controller.signal,
    onProgress: () => controller.abort(),
    digest: () => Promise.reject(new Error("must not be asked")),
  });
  await expect(late).rejects.toMatchObject({ code: "aborted" });
});

test("another digest can take the place of crypto.subtle", async () => {
  const digest = async (view: Uint8Array) => {
    const hash = createHash("sha256").update(view).digest();
    return new Uint8Array(hash).buffer;
  };
  await readVerified(source(bytes), sha256, new Uint8Array(bytes.length), { digest });
  const other = async () => new ArrayBuffer(32);
  await expect(
    readVerified(source(bytes), sha256, new Uint8Array(bytes.length), { digest: other }),
  ).rejects.toMatchObject({ message: expect.stringContaining(`SHA-256 ${"0".repeat(64)}, exp`) });
});
