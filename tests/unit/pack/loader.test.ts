import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import {
  type LoadProgress,
  loadBlob,
  loadWeights,
  readManifest,
} from "../../../src/pack/loader.ts";
import { MANIFEST_NAME } from "../../../src/pack/manifest.ts";
import { packTensors } from "../../../src/pack/packer.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";
import { type MemoryFolder, memoryFolder } from "./memory-folder.ts";
import { SAMPLE_TOKENIZER, sampleEntries, samplePack } from "./sample-pack.ts";
import { randomIntegers } from "./sample-tensors.ts";

const { folder, manifest } = await samplePack();
const image = new Uint8Array(manifest.weight_bytes);
await packTensors(sampleEntries(), (offset, bytes) => image.set(bytes, offset));
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const shardName = (i: number): string => `${manifest.shards[i].sha256}.bin`;

/** A copy of the pack, to break. */
function copy(): MemoryFolder {
  const other = memoryFolder("bucket/broken");
  for (const [name, bytes] of folder.objects) other.objects.set(name, bytes.slice());
  return other;
}

/** The pack, with something done before an object is opened. */
function watched(
  onOpen: (name: string, signal?: AbortSignal) => void | Promise<void>,
): SourceFolder {
  return {
    name: folder.name,
    async open(name, signal) {
      await onOpen(name, signal);
      return folder.open(name, signal);
    },
  };
}

describe("the image comes back as it was packed", () => {
  test.each([1, 2, 3, 100])("with %i shards under way at a time", async (concurrency) => {
    const destination = new Uint8Array(manifest.weight_bytes);
    await loadWeights(folder, manifest, destination, { concurrency });
    expect(Buffer.compare(destination, image)).toBe(0);
  });

  test("in WebAssembly memory, at the address of a view", async () => {
    const memory = new WebAssembly.Memory({ initial: 3 });
    const view = new Uint8Array(memory.buffer, 1024, manifest.weight_bytes);
    await loadWeights(folder, manifest, view);
    expect(Buffer.compare(view, image)).toBe(0);
    const all = new Uint8Array(memory.buffer);
    expect(all.subarray(0, 1024).every((byte) => byte === 0)).toBe(true);
    expect(all.subarray(1024 + manifest.weight_bytes).every((byte) => byte === 0)).toBe(true);
  });

  test("in shared memory", async () => {
    const memory = new WebAssembly.Memory({ initial: 3, maximum: 3, shared: true });
    const view = new Uint8Array(memory.buffer, 64, manifest.weight_bytes);
    await loadWeights(folder, manifest, view);
    expect(Buffer.compare(view, image)).toBe(0);
  });

  test("in memory that is larger", async () => {
    const destination = new Uint8Array(manifest.weight_bytes + 5).fill(7);
    await loadWeights(folder, manifest, destination);
    expect([...destination.subarray(-6)]).toEqual([image.at(-1), 7, 7, 7, 7, 7]);
  });
});

describe("a range", () => {
  const second = manifest.shards[0].bytes;
  test.each([
    ["inside a shard", second + 32, second + 64],
    ["of exactly one shard", second, second + manifest.shards[1].bytes],
    ["over borders", second - 10, second + manifest.shards[1].bytes + 10],
    ["at the end", manifest.weight_bytes - 1, manifest.weight_bytes],
    ["of all", 0, manifest.weight_bytes],
    ["of nothing", 100, 100],
  ])("%s is that slice of the image", async (_, start, end) => {
    const destination = new Uint8Array(end - start);
    await loadWeights(folder, manifest, destination, { range: { start, end } });
    expect(Buffer.compare(destination, image.subarray(start, end))).toBe(0);
  });

  test("fetches only the shards that hold a part of it", async () => {
    const { offset, bytes } = manifest.tensors[7];
    const opened: string[] = [];
    const range = { start: offset, end: offset + bytes };
    await loadWeights(
      watched((name) => void opened.push(name)),
      manifest,
      new Uint8Array(bytes),
      { range },
    );
    let start = 0;
    const expected = manifest.shards.filter((shard) => {
      start += shard.bytes;
      return start - shard.bytes < range.end && start > range.start;
    });
    expect(opened).toEqual(expected.map(({ sha256 }) => `${sha256}.bin`));
    expect(opened.length).toBeLessThan(manifest.shards.length / 2);
  });

  test("is verified also in what lies outside it", async () => {
    const broken = copy();
    broken.objects.get(shardName(1))![0] ^= 1;
    const range = { start: second + 32, end: second + 64 };
    await expect(
      loadWeights(broken, manifest, new Uint8Array(32), { range }),
    ).rejects.toMatchObject({
      code: "corrupt",
    });
  });

  test("of exactly one shard fetches that one", async () => {
    const opened: string[] = [];
    const range = { start: second, end: second + manifest.shards[1].bytes };
    const destination = new Uint8Array(manifest.shards[1].bytes);
    await loadWeights(
      watched((name) => void opened.push(name)),
      manifest,
      destination,
      { range },
    );
    expect(opened).toEqual([shardName(1)]);
  });

  test.each([
    ["begins before the image", -1, 10],
    ["ends behind it", 0, manifest.weight_bytes + 1],
    ["is reversed", 10, 9],
    ["is no integer", 0.5, 10],
  ])("that %s is refused", async (_, start, end) => {
    const loading = loadWeights(folder, manifest, new Uint8Array(1e6), { range: { start, end } });
    await expect(loading).rejects.toMatchObject({ code: "bad_request" });
  });
});

test("memory that is too small is refused before anything is fetched", async () => {
  const opened: string[] = [];
  const destination = new Uint8Array(manifest.weight_bytes - 1);
  const loading = loadWeights(
    watched((name) => void opened.push(name)),
    manifest,
    destination,
  );
  await expect(loading).rejects.toMatchObject({ code: "bad_request" });
  expect(opened).toEqual([]);
});

describe("one flipped bit", () => {
  test("anywhere in the last shard is found", async () => {
    const last = manifest.shards.length - 1;
    let start = 0;
    for (const shard of manifest.shards.slice(0, -1)) start += shard.bytes;
    const range = { start, end: manifest.weight_bytes };
    const destination = new Uint8Array(range.end - start);
    const next = randomIntegers(1);
    const positions = [0, 1, 2, range.end - start - 1];
    for (let i = 0; i < 60; i++) positions.push(next() % (range.end - start));
    for (const at of positions) {
      const broken = copy();
      broken.objects.get(shardName(last))![at] ^= 1 << (next() & 7);
      await expect(loadWeights(broken, manifest, destination, { range })).rejects.toMatchObject({
        code: "corrupt",
      });
    }
  });

  test.each(manifest.shards.map((_, i) => i))(
    "in shard %i names it, what was expected and found",
    async (i) => {
      const broken = copy();
      broken.objects.get(shardName(i))![17] ^= 0x40;
      const loading = loadWeights(broken, manifest, new Uint8Array(manifest.weight_bytes));
      await expect(loading).rejects.toMatchObject({
        code: "corrupt",
        message:
          `bucket/broken: shard ${i + 1} of ${manifest.shards.length}: ` +
          `bucket/broken/${shardName(i)}: SHA-256 ${sha256(broken.objects.get(shardName(i))!)}, ` +
          `expected ${manifest.shards[i].sha256}, also when fetched again`,
      });
    },
  );

  test("in shared memory's way is found as well", async () => {
    const broken = copy();
    broken.objects.get(shardName(0))![0] ^= 1;
    const shared = new Uint8Array(new SharedArrayBuffer(manifest.weight_bytes));
    await expect(loadWeights(broken, manifest, shared)).rejects.toMatchObject({ code: "corrupt" });
  });

  test("in the tokenizer is found", async () => {
    const broken = copy();
    broken.objects.get(`${manifest.tokenizer!.sha256}.bin`)![5] ^= 2;
    await expect(loadBlob(broken, manifest.tokenizer!)).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringContaining(manifest.tokenizer!.sha256),
    });
  });
});

test.each<[string, (shard: Uint8Array) => Uint8Array | undefined, string, RegExp]>([
  [
    "cut off",
    (shard) => shard.subarray(0, -1),
    "corrupt",
    /shard 2 of .*: \d+ bytes, expected \d+/,
  ],
  ["empty", (shard) => shard.subarray(0, 0), "corrupt", /shard 2 of .*: 0 bytes, expected \d+/],
  [
    "too long",
    (shard) => new Uint8Array([...shard, 0]),
    "corrupt",
    /shard 2 of .*: \d+ bytes, expected \d+/,
  ],
  ["another one", () => folder.objects.get(shardName(2)), "corrupt", /shard 2 of /],
  ["missing", () => undefined, "not_found", /shard 2 of .*: no such object/],
])("a shard that is %s is named", async (_, change, code, message) => {
  const broken = copy();
  const changed = change(broken.objects.get(shardName(1))!);
  if (changed) broken.objects.set(shardName(1), changed);
  else broken.objects.delete(shardName(1));
  const loading = loadWeights(broken, manifest, new Uint8Array(manifest.weight_bytes));
  await expect(loading).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test("a shard that arrives broken once is fetched again, and loading goes on", async () => {
  const broken = copy();
  broken.objects.get(shardName(3))![9] ^= 8;
  const opened = new Map<string, number>();
  const flaky: SourceFolder = {
    name: "flaky",
    async open(name) {
      opened.set(name, (opened.get(name) ?? 0) + 1);
      return (opened.get(name) === 1 ? broken : folder).open(name);
    },
  };
  const destination = new Uint8Array(manifest.weight_bytes);
  await loadWeights(flaky, manifest, destination);
  expect(Buffer.compare(destination, image)).toBe(0);
  const counts = manifest.shards.map((_, i) => opened.get(shardName(i)));
  expect(counts).toEqual(manifest.shards.map((_, i) => (i === 3 ? 2 : 1)));
});

test("a shard that stays broken is fetched twice, and then nothing more is", async () => {
  const broken = copy();
  broken.objects.get(shardName(0))![0] ^= 1;
  const opened: string[] = [];
  const counting: SourceFolder = {
    name: "counting",
    async open(name) {
      opened.push(name);
      return broken.open(name);
    },
  };
  const loading = loadWeights(counting, manifest, new Uint8Array(manifest.weight_bytes), {
    concurrency: 1,
  });
  await expect(loading).rejects.toMatchObject({ code: "corrupt" });
  expect(opened).toEqual([shardName(0), shardName(0)]);
});

test("the other lanes take no more shards once one has failed", async () => {
  const opened: string[] = [];
  const failing = watched((name) => {
    opened.push(name);
    if (name === shardName(0)) throw new PronkError("source_failed", "down", { retryAfterMs: 0 });
  });
  const loading = loadWeights(failing, manifest, new Uint8Array(manifest.weight_bytes));
  await expect(loading).rejects.toMatchObject({ message: expect.stringContaining("down") });
  expect(opened).toEqual([shardName(0), shardName(1)]);
});

test("shards are read straight into their places", async () => {
  const destination = new Uint8Array(manifest.weight_bytes);
  const places: number[] = [];
  const watching: SourceFolder = {
    name: "watching",
    async open(name) {
      const source = await folder.open(name);
      return {
        ...source,
        readInto(place, start, signal, onProgress) {
          expect(place.buffer).toBe(destination.buffer);
          places.push(place.byteOffset);
          return source.readInto(place, start, signal, onProgress);
        },
      };
    },
  };
  await loadWeights(watching, manifest, destination);
  let start = 0;
  const starts = manifest.shards.map(({ bytes }) => (start += bytes) - bytes);
  expect(places.sort((a, b) => a - b)).toEqual(starts);
});

test("a source that fails is named with the shard, keeps its code and is not asked again", async () => {
  let asked = 0;
  const failing = watched((name) => {
    if (name !== shardName(1)) return;
    asked++;
    throw new PronkError("source_failed", "HTTP 503 after 5 attempts", { retryAfterMs: 0 });
  });
  const loading = loadWeights(failing, manifest, new Uint8Array(manifest.weight_bytes));
  await expect(loading).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringMatching(/shard 2 of .*HTTP 503 after 5 attempts$/),
  });
  expect(asked).toBe(1);
});

test("after a failure nothing is written to the destination any more", async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const first = manifest.shards[0].bytes;
  const destination = new Uint8Array(manifest.weight_bytes);
  const slow = watched(async (name) => {
    // The first shard is still under way when the second fails.
    if (name === shardName(0)) await held;
    if (name === shardName(1)) throw new PronkError("source_failed", "down");
  });
  let settled = false;
  const loading = loadWeights(slow, manifest, destination).finally(() => {
    settled = true;
  });
  const outcome = expect(loading).rejects.toMatchObject({
    message: expect.stringContaining("down"),
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(settled).toBe(false);
  release();
  await outcome;
  const before = destination.slice(0, first);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(destination.subarray(0, first)).toEqual(before);
});

test("at most the asked number of shards is under way", async () => {
  let open = 0;
  let most = 0;
  const counting: SourceFolder = {
    name: "counting",
    async open(name) {
      most = Math.max(most, ++open);
      const source = await folder.open(name);
      return {
        ...source,
        async readInto(destination, start) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          await source.readInto(destination, start);
          open--;
        },
      };
    },
  };
  await loadWeights(counting, manifest, new Uint8Array(manifest.weight_bytes));
  expect(most).toBe(2);
});

describe("abort", () => {
  test("before loading fetches nothing", async () => {
    const opened: string[] = [];
    const loading = loadWeights(
      watched((name) => void opened.push(name)),
      manifest,
      new Uint8Array(manifest.weight_bytes),
      { signal: AbortSignal.abort() },
    );
    await expect(loading).rejects.toMatchObject({ code: "aborted" });
    expect(opened).toEqual([]);
  });

  test("reaches the shards under way and fetches no more", async () => {
    const abort = new AbortController();
    const opened: string[] = [];
    let signalled = 0;
    const hanging = watched(async (name, signal) => {
      opened.push(name);
      if (opened.length === 2) abort.abort(new Error("client gone"));
      await new Promise<void>((_, reject) => {
        const fail = (): void => {
          signalled++;
          reject(new PronkError("aborted", "aborted"));
        };
        if (signal?.aborted) fail();
        else signal?.addEventListener("abort", fail);
      });
    });
    const loading = loadWeights(hanging, manifest, new Uint8Array(manifest.weight_bytes), {
      signal: abort.signal,
    });
    await expect(loading).rejects.toMatchObject({ code: "aborted" });
    expect(opened.length).toBe(2);
    expect(signalled).toBe(2);
  });
});

test("progress rises to the total, and every shard is read, verified and done", async () => {
  const seen: LoadProgress[] = [];
  await loadWeights(folder, manifest, new Uint8Array(manifest.weight_bytes), {
    onProgress: (progress) => seen.push(progress),
  });
  const loaded = seen.map((progress) => progress.loaded);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  expect(seen[0].loaded).toBe(0);
  expect(seen.at(-1)).toMatchObject({
    loaded: manifest.weight_bytes,
    total: manifest.weight_bytes,
  });
  for (let shard = 0; shard < manifest.shards.length; shard++) {
    const phases = new Set(seen.filter((p) => p.shard === shard).map((p) => p.phase));
    expect([...phases]).toEqual(["read", "verify", "done"]);
  }
});

test("the tokenizer comes back as it was given", async () => {
  expect(await loadBlob(folder, manifest.tokenizer!)).toEqual(SAMPLE_TOKENIZER);
});

describe("a manifest that", () => {
  const put = (bytes: Uint8Array): SourceFolder => {
    const other = memoryFolder("bucket/broken");
    other.objects.set(MANIFEST_NAME, bytes);
    return other;
  };
  const text = (json: string): Uint8Array => new TextEncoder().encode(json);

  test("is missing is not found", async () => {
    await expect(readManifest(memoryFolder("empty"))).rejects.toMatchObject({ code: "not_found" });
  });

  test.each([
    ["is not JSON", text("{"), /bucket\/broken: manifest.json: is not JSON/],
    ["is not UTF-8", Uint8Array.of(0x22, 0xff, 0x22), /is not JSON/],
    ["is cut off", folder.objects.get(MANIFEST_NAME)!.slice(0, 500), /is not JSON/],
    ["is no object", text("[]"), /the document: found an array of 0, expected an object/],
    ["is too large", new Uint8Array(16 * 1024 * 1024 + 1), /16777217 bytes, at most 16777216/],
  ])("%s is refused", async (_, bytes, message) => {
    await expect(readManifest(put(bytes))).rejects.toMatchObject({
      code: "bad_format",
      message: expect.stringMatching(message),
    });
  });

  test("has a flipped bit is refused, or says the same", async () => {
    const good = folder.objects.get(MANIFEST_NAME)!;
    const next = randomIntegers(2);
    let refused = 0;
    for (let at = 0; at < good.length; at++) {
      const bytes = good.slice();
      bytes[at] ^= 1 << (next() & 7);
      const read = await readManifest(put(bytes)).catch((error: unknown) => error);
      if (read instanceof PronkError) refused++;
      else {
        // Only the name of the checksum's own field is not covered by anything.
        const { checksum: _, ...content } = manifest;
        expect(read).toMatchObject(content);
      }
    }
    expect(refused).toBeGreaterThan(good.length - 20);
  });

  test("was edited is corrupt, until its checksum is taken out", async () => {
    const edited = { ...manifest, chat_template: "{{ bos_token }}" };
    await expect(readManifest(put(text(JSON.stringify(edited))))).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringContaining(manifest.checksum!),
    });
    const { checksum: _, ...content } = edited;
    expect(await readManifest(put(text(JSON.stringify(content))))).toEqual(content);
  });

  test("is written with other white space is the same", async () => {
    expect(await readManifest(put(text(JSON.stringify(manifest))))).toEqual(manifest);
  });
});
