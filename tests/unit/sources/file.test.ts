import { mkdtemp, type FileHandle as NodeHandle, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FileHandle, fileSource } from "../../../src/sources/file.ts";
import { equal, sampleBytes, testSource } from "./source-conformance.ts";

let folder: string;
const open_: NodeHandle[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-file-"));
});
afterAll(async () => {
  for (const handle of open_) await handle.close();
  await rm(folder, { recursive: true });
});

/** A real file with these bytes, and how much each read of it may bring. */
async function handleOf(bytes: Uint8Array, most = Number.MAX_SAFE_INTEGER): Promise<FileHandle> {
  const path = join(folder, `${open_.length}.bin`);
  await writeFile(path, bytes);
  const file = await open(path);
  open_.push(file);
  return {
    async read(buffer, position) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, most), position);
      return bytesRead;
    },
  };
}

testSource("a file", async (bytes) => fileSource(await handleOf(bytes), "f.bin", bytes.length));

test("short reads are put together", async () => {
  const bytes = sampleBytes(10_000);
  const source = fileSource(await handleOf(bytes, 999), "f.bin", bytes.length);
  const destination = new Uint8Array(9_000);
  await source.readInto(destination, 500);
  expect(equal(destination, bytes.subarray(500, 9_500))).toBe(true);
});

test("a large read is made of several, so that it can be aborted", async () => {
  const bytes = new Uint8Array(20 * 1024 * 1024);
  const source = fileSource(await handleOf(bytes), "f.bin", bytes.length);
  const controller = new AbortController();
  const seen: number[] = [];
  const read = source.readInto(new Uint8Array(bytes.length), 0, controller.signal, (count) => {
    seen.push(count);
    controller.abort();
  });
  await expect(read).rejects.toMatchObject({ code: "aborted" });
  expect(seen).toEqual([8 * 1024 * 1024]);
});

test("a file that was cut after it was opened is an error that says where it ends", async () => {
  const source = fileSource(await handleOf(sampleBytes(100)), "f.bin", 120);
  await expect(source.readInto(new Uint8Array(120), 0)).rejects.toMatchObject({
    code: "source_failed",
    message: "f.bin: ends at byte 100 instead of 120: it was changed",
  });
});

test("a file that cannot be read says what the system said", async () => {
  const handle = await open(folder);
  open_.push(handle);
  const source = fileSource(
    { read: async (buffer) => (await handle.read(buffer, 0, buffer.length, 0)).bytesRead },
    "folder",
    10,
  );
  await expect(source.readInto(new Uint8Array(10), 0)).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringMatching(/^folder: .*EISDIR/),
  });
});
