/** What every `ByteSource` and `SourceFolder` must do, whatever is behind it. */
import { describe, expect, test } from "vitest";
import type { ByteSource, SourceFolder } from "../../../src/sources/source.ts";

/** Bytes that differ from their neighbours, and from themselves 64 KiB or 1 MiB further on. */
export function sampleBytes(length: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

/** More than one chunk of any reader, and no multiple of one. */
export const LARGE_BYTES: number = 1024 * 1024 + 3;

/** What testFolder() asks for. */
export const FOLDER_OBJECTS: Readonly<Record<string, Uint8Array>> = {
  "manifest.json": sampleBytes(100, 1),
  "shards/a/0.bin": sampleBytes(200, 2),
  "a b+c%25#ü?.bin": sampleBytes(300, 3),
};

/** The suite for one kind of source; `create` makes one that holds these bytes. */
export function testSource(kind: string, create: (bytes: Uint8Array) => Promise<ByteSource>): void {
  describe(`${kind} as a source`, () => {
    const bytes = sampleBytes(LARGE_BYTES);
    const opened = create.bind(null, bytes);

    test("knows its size and has a name", async () => {
      const source = await opened();
      expect(source.size).toBe(LARGE_BYTES);
      expect(source.name).not.toBe("");
    });

    test.each([
      ["everything", 0, LARGE_BYTES],
      ["the first byte", 0, 1],
      ["the last byte", LARGE_BYTES - 1, LARGE_BYTES],
      ["around 64 KiB", 65_535, 65_537],
      ["all but the ends", 1, LARGE_BYTES - 1],
      ["the second half", 524_289, LARGE_BYTES],
      ["nothing at the start", 0, 0],
      ["nothing at the end", LARGE_BYTES, LARGE_BYTES],
    ])("reads %s", async (_, start, end) => {
      const source = await opened();
      const destination = new Uint8Array(end - start);
      await source.readInto(destination, start);
      expect(equal(destination, bytes.subarray(start, end))).toBe(true);
    });

    test("fills a view at an odd address and nothing beside it", async () => {
      const source = await opened();
      const memory = new Uint8Array(200_003).fill(7);
      await source.readInto(memory.subarray(3, 100_003), 12_345);
      expect(equal(memory.subarray(3, 100_003), bytes.subarray(12_345, 112_345))).toBe(true);
      expect(memory.subarray(0, 3).every((byte) => byte === 7)).toBe(true);
      expect(memory.subarray(100_003).every((byte) => byte === 7)).toBe(true);
    });

    test("fills WebAssembly memory", async () => {
      const source = await opened();
      const memory = new WebAssembly.Memory({ initial: 32 });
      const view = new Uint8Array(memory.buffer, 65_536, LARGE_BYTES);
      await source.readInto(view, 0);
      expect(equal(view, bytes)).toBe(true);
      expect(memory.buffer.byteLength).toBe(32 * 65_536);
    });

    test("reports ascending progress up to the destination's length", async () => {
      const source = await opened();
      for (const length of [LARGE_BYTES - 5, 1, 0]) {
        const seen: number[] = [];
        const destination = new Uint8Array(length);
        await source.readInto(destination, 5, undefined, (count) => {
          seen.push(count);
          if (!equal(destination.subarray(0, count), bytes.subarray(5, 5 + count))) seen.push(-1);
        });
        expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
        expect(seen.at(-1)).toBe(length);
      }
    });

    test("serves several reads at once", async () => {
      const source = await opened();
      // What a source keeps from one read must not be shared by the next ones.
      await source.readInto(new Uint8Array(10), 0);
      const starts = [0, 70_000, 140_000, 900_000];
      const parts = starts.map(() => new Uint8Array(140_000));
      await Promise.all(parts.map((part, i) => source.readInto(part, starts[i]!)));
      expect(
        parts.map((part, i) => equal(part, bytes.subarray(starts[i]!, starts[i]! + 140_000))),
      ).toEqual([true, true, true, true]);
    });

    test.each([
      ["past its end", LARGE_BYTES - 1, 2],
      ["far past its end", LARGE_BYTES + 1, 0],
      ["before its start", -1, 2],
      ["between bytes", 0.5, 1],
      ["nowhere", Number.NaN, 1],
      ["beyond all numbers", 2 ** 53, 1],
    ])("refuses to read %s, naming itself", async (_, start, length) => {
      const source = await opened();
      const destination = new Uint8Array(length).fill(7);
      await expect(source.readInto(destination, start)).rejects.toMatchObject({
        code: "source_failed",
        message: expect.stringContaining(source.name),
        retryAfterMs: undefined,
      });
      expect(destination.every((byte) => byte === 7)).toBe(true);
    });

    test("does not begin when the signal has fired", async () => {
      const source = await opened();
      const destination = new Uint8Array(10).fill(7);
      await expect(source.readInto(destination, 0, AbortSignal.abort())).rejects.toMatchObject({
        code: "aborted",
      });
      expect(destination.every((byte) => byte === 7)).toBe(true);
    });

    test("still reads after an aborted read", async () => {
      const source = await opened();
      const controller = new AbortController();
      const first = source.readInto(new Uint8Array(LARGE_BYTES), 0, controller.signal, () => {
        controller.abort();
      });
      // A source whose read is one step has nothing left to abort.
      await first.catch((error) => expect(error).toMatchObject({ code: "aborted" }));
      const destination = new Uint8Array(100);
      await source.readInto(destination, 100);
      expect(equal(destination, bytes.subarray(100, 200))).toBe(true);
    });

    test("may be empty", async () => {
      const source = await create(new Uint8Array(0));
      expect(source.size).toBe(0);
      await source.readInto(new Uint8Array(0), 0);
      await expect(source.readInto(new Uint8Array(1), 0)).rejects.toMatchObject({
        code: "source_failed",
      });
    });
  });
}

/** The suite for one kind of folder; `create` makes one that holds these objects. */
export function testFolder(
  kind: string,
  create: (objects: Readonly<Record<string, Uint8Array>>) => Promise<SourceFolder>,
): void {
  describe(`${kind} as a folder`, () => {
    const objects = FOLDER_OBJECTS;

    test.each(Object.entries(objects))("opens %s", async (name, bytes) => {
      const folder = await create(objects);
      for (const size of [undefined, bytes.length]) {
        const source = await folder.open(name, undefined, size);
        expect(source.size).toBe(bytes.length);
        const destination = new Uint8Array(bytes.length);
        await source.readInto(destination, 0);
        expect(equal(destination, bytes)).toBe(true);
      }
    });

    test("says that an object is not there", async () => {
      const folder = await create(objects);
      await expect(folder.open("shards/missing.bin")).rejects.toMatchObject({
        code: "not_found",
        message: expect.stringContaining("missing.bin"),
      });
    });

    test("says so when it is read, if its size was given", async () => {
      const folder = await create(objects);
      const read = async () => {
        const source = await folder.open("shards/missing.bin", undefined, 10);
        await source.readInto(new Uint8Array(10), 0);
      };
      await expect(read()).rejects.toMatchObject({
        code: "not_found",
        message: expect.stringContaining("missing.bin"),
      });
    });

    test("refuses an object whose size is not the one given", async () => {
      const folder = await create(objects);
      for (const size of [99, 101]) {
        const read = async () => {
          const source = await folder.open("manifest.json", undefined, size);
          await source.readInto(new Uint8Array(99), 0);
        };
        await expect(read()).rejects.toMatchObject({
          code: "corrupt",
          message: expect.stringMatching(new RegExp(`manifest.json.*100 bytes.*${size}`)),
        });
      }
    });

    test.each(["", ".", "..", "../a", "a/../b", "/a", "a/", "a//b", "a\\..\\b", "a\0b"])(
      "refuses the name %j",
      async (name) => {
        const folder = await create(objects);
        await expect(folder.open(name)).rejects.toMatchObject({ code: "bad_request" });
      },
    );

    test("does not begin when the signal has fired", async () => {
      const folder = await create(objects);
      await expect(folder.open("manifest.json", AbortSignal.abort())).rejects.toMatchObject({
        code: "aborted",
      });
    });
  });
}

/** `toEqual` takes seconds for a megabyte. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
