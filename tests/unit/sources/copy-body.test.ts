import { describe, expect, test } from "vitest";
import { copyBody, type Scratch } from "../../../src/sources/copy-body.ts";
import { equal, sampleBytes } from "./source-conformance.ts";

const { signal } = new AbortController();

/** A body that brings `bytes` in pieces, as a stream of bytes (BYOB) or of chunks. */
function bodyOf(bytes: Uint8Array, kind: "bytes" | "chunks", piece = 10_000) {
  const state = { cancelled: false, pulled: 0 };
  let at = 0;
  const pull = (controller: ReadableByteStreamController | ReadableStreamDefaultController) => {
    state.pulled++;
    if (at < bytes.length) controller.enqueue(bytes.slice(at, at + piece));
    else controller.close();
    at += piece;
    // A pending BYOB read meets the end only by an answer.
    if (at >= bytes.length + piece)
      (controller as ReadableByteStreamController).byobRequest?.respond(0);
  };
  const cancel = () => {
    state.cancelled = true;
  };
  const body =
    kind === "bytes"
      ? new ReadableStream({ type: "bytes", pull, cancel })
      : new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 });
  return { body: body as ReadableStream<Uint8Array>, state };
}

describe.each(["bytes", "chunks"] as const)("a body of %s", (kind) => {
  const bytes = sampleBytes(300_000);

  test.each([0, 1, 9_999, 10_000, 10_001, 250_000])("is copied after %i bytes", async (skip) => {
    const destination = new Uint8Array(50_000);
    const seen: number[] = [];
    const copied = await copyBody(bodyOf(bytes, kind).body, destination, {
      scratch: { idle: undefined },
      skip,
      onProgress: (count) => seen.push(count),
      signal,
    });
    expect(copied).toBe(50_000);
    expect(equal(destination, bytes.subarray(skip, skip + 50_000))).toBe(true);
    expect(seen[0]).toBeGreaterThan(0);
    expect(seen.at(-1)).toBe(50_000);
  });

  test("that goes on is cancelled", async () => {
    const { body, state } = bodyOf(bytes, kind);
    await copyBody(body, new Uint8Array(50_000), { scratch: { idle: undefined }, signal });
    await new Promise(setImmediate);
    expect(state.cancelled).toBe(true);
  });

  test("that ends with the last byte is read to its end, not cancelled", async () => {
    const { body, state } = bodyOf(bytes, kind);
    await copyBody(body, new Uint8Array(300_000), { scratch: { idle: undefined }, signal });
    await new Promise(setImmediate);
    expect(state).toEqual({ cancelled: false, pulled: 31 });
  });

  test("that ends early gives what it had", async () => {
    const destination = new Uint8Array(300_001);
    const copied = await copyBody(bodyOf(bytes, kind).body, destination, {
      scratch: { idle: undefined },
      signal,
    });
    expect(copied).toBe(300_000);
    expect(equal(destination.subarray(0, 300_000), bytes)).toBe(true);
  });

  test("that ends before what is wanted gives nothing", async () => {
    const options = { scratch: { idle: undefined }, skip: 300_001, signal };
    expect(await copyBody(bodyOf(bytes, kind).body, new Uint8Array(10), options)).toBe(0);
  });
});

test("a scratch is kept for the next body, and never shared by two at once", async () => {
  const scratch: Scratch = { idle: undefined };
  const options = { scratch, signal };
  await copyBody(bodyOf(sampleBytes(100), "bytes").body, new Uint8Array(100), options);
  expect(scratch.idle?.byteLength).toBe(65_536);

  const bytes = [sampleBytes(200_000, 1), sampleBytes(200_000, 2)];
  const copies = bytes.map(() => new Uint8Array(200_000));
  await Promise.all(
    bytes.map((part, i) => copyBody(bodyOf(part, "bytes").body, copies[i]!, options)),
  );
  expect(bytes.map((part, i) => equal(part, copies[i]!))).toEqual([true, true]);
  expect(scratch.idle?.byteLength).toBe(65_536);
});

test("a scratch that went down with its stream is replaced", async () => {
  const scratch: Scratch = { idle: undefined };
  const failing = new ReadableStream({
    type: "bytes",
    pull: (controller) => controller.error(new Error("broke")),
  });
  const options = { scratch, signal };
  await expect(copyBody(failing, new Uint8Array(10), options)).rejects.toThrow("broke");
  expect(scratch.idle).toBeUndefined();
  const bytes = sampleBytes(100);
  const destination = new Uint8Array(100);
  await copyBody(bodyOf(bytes, "bytes").body, destination, options);
  expect(equal(destination, bytes)).toBe(true);
});
