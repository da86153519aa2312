import { describe, expect, test } from "vitest";
import { PronkError } from "../../../../src/errors.ts";
import { copyPack } from "../../../../src/pack/copy-pack.ts";
import { loadWeights } from "../../../../src/pack/loader.ts";
import { objectName } from "../../../../src/pack/shards.ts";
import { ModelLibrary } from "../../../../src/playground/tab/model-library.ts";
import { StoredObjects } from "../../../../src/playground/tab/stored-objects.ts";
import type { TransferProgress } from "../../../../src/playground/tab/transfer-progress.ts";
import type { SourceFolder } from "../../../../src/sources/source.ts";
import { memoryFolder } from "../../pack/memory-folder.ts";
import { samplePack } from "../../pack/sample-pack.ts";
import { memoryFiles, memoryLocks } from "./memory-files.ts";

const sample = await samplePack();
const { manifest } = sample;
const key = manifest.checksum as string;
const objects = [...manifest.shards, ...(manifest.tokenizer ? [manifest.tokenizer] : [])];
const total = objects.reduce((sum, { bytes }) => sum + bytes, 0);
const site = [
  { id: "sample", folder: "models/sample", bytes: total, checksum: key, license: null },
];

/** One browser: its storage, and what was fetched by all of its tabs. */
function browser() {
  const files = memoryFiles();
  const records = memoryFiles();
  const locks = memoryLocks();
  const fetched: { name: string; start: number; end: number }[] = [];
  const server = memoryFolder("https://page.invalid/models/sample");
  for (const [name, bytes] of sample.folder.objects) server.objects.set(name, bytes.slice());
  /** Called before bytes are given. */
  const hooks = { onRead: async (_name: string, _signal?: AbortSignal): Promise<void> => {} };
  const remote: SourceFolder = {
    name: server.name,
    async open(name, signal, size) {
      const source = await server.open(name, signal, size);
      return {
        name: source.name,
        size: source.size,
        async readInto(destination, start, signal, onProgress) {
          await hooks.onRead(name, signal);
          // In two pieces, the second of which may not come.
          const half = destination.length >> 1;
          const read = async (from: number, to: number): Promise<void> => {
            await source.readInto(destination.subarray(from, to), start + from, signal);
            fetched.push({ name, start: start + from, end: start + to });
            onProgress?.(to);
          };
          await read(0, half);
          await hooks.onRead(`${name} half`, signal);
          await read(half, destination.length);
        },
      };
    },
  };
  const room = { usage: 0, quota: 1e12 };
  const tab = (models = site): ModelLibrary => {
    const library = new ModelLibrary({
      kept: { objects: new StoredObjects(files, locks), records, locks },
      remote: () => remote,
      room: { estimate: async () => room },
      now: () => performance.now(),
    });
    library.setSite(models);
    return library;
  };
  const bytesFetched = (): number =>
    fetched
      .filter(({ name }) => name.endsWith(".bin"))
      .reduce((sum, { start, end }) => sum + end - start, 0);
  return { files, records, server, fetched, hooks, room, tab, bytesFetched };
}

const never = new AbortController().signal;

async function imageOf(library: ModelLibrary): Promise<Uint8Array> {
  const image = new Uint8Array(manifest.weight_bytes);
  await loadWeights(library.open(key), manifest, image);
  return image;
}

const expected = new Uint8Array(manifest.weight_bytes);
await loadWeights(sample.folder, manifest, expected);

describe("a download", () => {
  test("keeps every object, and the next load asks nobody for any", async () => {
    const { tab, bytesFetched, fetched } = browser();
    const library = tab();
    const seen: TransferProgress[] = [];
    await library.download(key, (progress) => seen.push(progress), never);
    expect(seen.at(-1)).toMatchObject({ loaded: total, total });
    expect(bytesFetched()).toBe(total);
    expect(await library.list()).toMatchObject([{ id: "sample", storedBytes: total }]);
    fetched.length = 0;
    expect(await imageOf(tab())).toEqual(expected);
    expect(fetched).toEqual([]);
  });

  test("that is stopped in the middle of a shard goes on there, in another tab", async () => {
    const { tab, hooks, bytesFetched } = browser();
    const abort = new AbortController();
    const second = `${objectName(manifest.shards[1]!)} half`;
    hooks.onRead = async (name) => {
      if (name !== second) return;
      abort.abort();
      throw new PronkError("aborted", "aborted");
    };
    const stopped = tab().download(key, () => {}, abort.signal);
    await expect(stopped).rejects.toMatchObject({ code: "aborted" });
    const before = bytesFetched();
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(total);
    hooks.onRead = async () => {};
    const seen: TransferProgress[] = [];
    const again = tab();
    expect((await again.list())[0]?.storedBytes).toBe(before);
    await again.download(key, (progress) => seen.push(progress), never);
    expect(seen[0]?.loaded).toBe(before);
    expect(bytesFetched()).toBe(total);
    expect(await imageOf(again)).toEqual(expected);
  });

  test("in two tabs at once fetches every byte once", async () => {
    const { tab, bytesFetched } = browser();
    const done = [tab(), tab()].map((library) => library.download(key, () => {}, never));
    await Promise.all(done);
    expect(bytesFetched()).toBe(total);
  });

  test("is refused before it begins where there is too little room", async () => {
    const { tab, room, fetched } = browser();
    room.quota = total - 1;
    await expect(tab().download(key, () => {}, never)).rejects.toThrow(
      `${total} bytes are to be kept, this browser has room for ${total - 1}`,
    );
    expect(fetched.filter(({ name }) => name.endsWith(".bin"))).toEqual([]);
  });

  test("says so where the browser has less room than it said", async () => {
    const { tab, files } = browser();
    files.quota = total >> 1;
    const refused = tab().download(key, () => {}, never);
    await expect(refused).rejects.toMatchObject({ code: "source_failed" });
    await expect(refused).rejects.toThrow("not kept: no room");
  });

  test("of another pack than the list names is refused", async () => {
    const { tab } = browser();
    const other = [{ ...site[0]!, checksum: "0".repeat(64) }];
    await expect(tab(other).download("0".repeat(64), () => {}, never)).rejects.toMatchObject({
      code: "corrupt",
    });
  });
});

describe("what is damaged in storage", () => {
  test("is fetched again, and is whole from then on", async () => {
    const { tab, files, fetched } = browser();
    const library = tab();
    await library.download(key, () => {}, never);
    const name = objectName(manifest.shards[0]!);
    files.bytes.get(name)![3]! ^= 1;
    fetched.length = 0;
    expect(await imageOf(library)).toEqual(expected);
    expect(new Set(fetched.map((read) => read.name))).toEqual(new Set([name]));
    fetched.length = 0;
    expect(await imageOf(tab())).toEqual(expected);
    expect(fetched).toEqual([]);
  });

  test("on the server, too, is an error that names the shard", async () => {
    const { tab, server } = browser();
    const name = objectName(manifest.shards[0]!);
    server.objects.get(name)![3]! ^= 1;
    await expect(tab().download(key, () => {}, never)).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringContaining("also when fetched again"),
    });
  });

  test("and came from a file, cannot be healed, which is said", async () => {
    const { tab, files } = browser();
    const library = tab([]);
    await library.keep("file.gguf", total, (target) => copyPack(sample.folder, target));
    expect(await library.list()).toMatchObject([{ key, isOnSite: false, storedBytes: total }]);
    expect(await imageOf(library)).toEqual(expected);
    files.bytes.get(objectName(manifest.shards[0]!))![3]! ^= 1;
    await expect(imageOf(tab([]))).rejects.toThrow("came from a file: open that again");
  });
});

describe("removing a model", () => {
  test("removes its record and its objects", async () => {
    const { tab, files, records } = browser();
    const library = tab();
    await library.download(key, () => {}, never);
    await library.remove(key);
    expect(files.bytes.size).toBe(0);
    expect(records.bytes.size).toBe(0);
    expect(await library.list()).toMatchObject([{ storedBytes: 0, isOnSite: true }]);
  });

  test("leaves what another model shares with it", async () => {
    const { tab, files } = browser();
    const library = tab();
    await library.download(key, () => {}, never);
    const other = { ...manifest, name: "other" };
    const { checksum: _, ...content } = other;
    const twin = memoryFolder("twin");
    for (const [name, bytes] of sample.folder.objects) twin.objects.set(name, bytes);
    twin.objects.set("manifest.json", new TextEncoder().encode(JSON.stringify(content)));
    const kept = await library.keep("twin.gguf", total, (target) => copyPack(twin, target));
    expect(kept).not.toBe(key);
    await library.remove(key);
    expect(files.bytes.size).toBe(objects.length);
    await library.remove(kept);
    expect(files.bytes.size).toBe(0);
  });
});

test("a browser that keeps nothing loads from beside the page", async () => {
  const { tab, bytesFetched } = browser();
  tab();
  const library = new ModelLibrary({
    remote: () => sample.folder,
    room: { estimate: async () => ({}) },
    now: () => 0,
  });
  library.setSite(site);
  await library.download(key, () => {}, never);
  expect(await imageOf(library)).toEqual(expected);
  expect(bytesFetched()).toBe(0);
});
