/** A cache that holds, or is given, what is wrong: loads come out right, and so does the cache. */
import { expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { loadWeights } from "../../../src/pack/loader.ts";
import { objectName } from "../../../src/pack/shards.ts";
import { type CacheLike, cachedFolder } from "../../../src/sources/cached.ts";
import { retryingFolder } from "../../../src/sources/retrying.ts";
import type { ByteSource, SourceFolder } from "../../../src/sources/source.ts";
import { samplePack } from "../pack/sample-pack.ts";

const { folder, manifest } = await samplePack();
const shard = objectName(manifest.shards[1]!);
const whole = folder.objects.get(shard)!;

/** The web's, of one process. */
function memoryCache(): CacheLike & { readonly entries: Map<string, Uint8Array<ArrayBuffer>> } {
  const entries = new Map<string, Uint8Array<ArrayBuffer>>();
  return {
    entries,
    async match(url) {
      const bytes = entries.get(url);
      return bytes && new Response(bytes);
    },
    async put(url, response) {
      entries.set(url, new Uint8Array(await (response as Response).arrayBuffer()));
    },
    delete: async (url) => entries.delete(url),
  };
}
const urlOf = (name: string): string => `https://pronk.invalid/${name}`;

/** Storage whose reads of the shard pass through `read`, the first being number 0. */
function storage(
  read: (source: ByteSource, count: number) => ByteSource,
): SourceFolder & { reads: () => number } {
  let reads = 0;
  return {
    name: folder.name,
    reads: () => reads,
    async open(name, signal) {
      const source = await folder.open(name, signal);
      if (name !== shard) return source;
      return {
        ...source,
        readInto: (...args) => read(source, reads++).readInto(...args),
      };
    },
  };
}

async function load(from: SourceFolder, cache: CacheLike): Promise<Uint8Array> {
  const image = new Uint8Array(manifest.weight_bytes);
  // As Workers read packs.
  const kept = retryingFolder(cachedFolder(from, cache), { baseMs: 1 });
  await loadWeights(kept, manifest, image);
  return image;
}
const image = new Uint8Array(manifest.weight_bytes);
await loadWeights(folder, manifest, image);

const flipped = (bytes: Uint8Array, at = 17): Uint8Array<ArrayBuffer> => {
  const damaged = new Uint8Array(bytes);
  damaged[at]! ^= 4;
  return damaged;
};

test("a damaged entry is dropped, fetched once, and whole in the cache from then on", async () => {
  const cache = memoryCache();
  await load(folder, cache);
  cache.entries.set(urlOf(shard), flipped(whole));
  const counted = storage((source) => source);
  expect(Buffer.compare(await load(counted, cache), image)).toBe(0);
  expect(counted.reads()).toBe(1);
  expect(Buffer.compare(cache.entries.get(urlOf(shard))!, whole)).toBe(0);
  await load(counted, cache);
  expect(counted.reads()).toBe(1);
});

test("bytes that storage sent damaged do not come back from the cache", async () => {
  const cache = memoryCache();
  const broken = storage((source, count) => ({
    ...source,
    async readInto(destination, ...rest) {
      await source.readInto(destination, ...rest);
      if (count === 0) destination[17]! ^= 4;
    },
  }));
  expect(Buffer.compare(await load(broken, cache), image)).toBe(0);
  expect(broken.reads()).toBe(2);
  expect(Buffer.compare(cache.entries.get(urlOf(shard))!, whole)).toBe(0);
});

test("a damaged entry that breaks off, before a read of storage that does, is not what a retry goes on from", async () => {
  const cache = memoryCache();
  // The cache gives 3,000 damaged bytes and fails; storage gives 1,000 and fails, then all.
  const damaged = flipped(whole, 2000).subarray(0, 3000);
  let matches = 0;
  cache.match = async (url) => {
    if (url !== urlOf(shard)) return undefined;
    matches++;
    let pulls = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (pulls++ === 0) controller.enqueue(damaged.slice());
          else controller.error(new Error("the cache broke"));
        },
      },
      { highWaterMark: 0 },
    );
    return new Response(body);
  };
  const broken = storage((source, count) => ({
    ...source,
    async readInto(destination, start, signal, onProgress) {
      if (count > 0) return source.readInto(destination, start, signal, onProgress);
      await source.readInto(destination.subarray(0, 1000), start, signal, onProgress);
      throw new PronkError("source_failed", "broke", { retryAfterMs: 0 });
    },
  }));
  expect(Buffer.compare(await load(broken, cache), image)).toBe(0);
  expect(matches).toBe(1);
});
