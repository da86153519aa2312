import { describe, expect, test } from "vitest";
import { readReleases, rollBack } from "../../../../src/cli/deploy/releases.ts";
import { type UploadProgress, uploadPack } from "../../../../src/cli/deploy/upload.ts";
import { loadWeights, readManifest } from "../../../../src/pack/loader.ts";
import { packRelease } from "../../../../src/pack/release.ts";
import { objectName } from "../../../../src/pack/shards.ts";
import { SAMPLE_FIELDS, samplePack } from "../../pack/sample-pack.ts";
import { type MemoryBucket, memoryBucket } from "./memory-bucket.ts";

const { signal } = new AbortController();
const first = await samplePack();
// The same weights in other shards, under another name.
const second = await samplePack({
  manifest: { ...SAMPLE_FIELDS, name: "sample-2m" },
  shardBytes: 8192,
});

const upload = (pack: typeof first, bucket: MemoryBucket, more = {}) =>
  uploadPack(pack.folder, bucket, { signal, ...more });

/** What a reader finds: the pack's name, after every shard of it was verified. */
async function readable(bucket: MemoryBucket, release?: string): Promise<string> {
  const folder = packRelease(bucket.folder, release);
  const manifest = await readManifest(folder);
  await loadWeights(folder, manifest, new Uint8Array(manifest.weight_bytes));
  return manifest.name;
}

test("shards first, then the release, the list of releases, and manifest.json last", async () => {
  const bucket = memoryBucket();
  const found = await upload(first, bucket);
  const { checksum } = first.manifest;
  const objects = first.manifest.shards.length + 1;
  expect(found).toMatchObject({ release: checksum, objects, sent: objects, switched: true });
  expect(bucket.written.slice(-3)).toEqual([
    `releases/${checksum}.json`,
    "releases.json",
    "manifest.json",
  ]);
  const names = [...first.manifest.shards, first.manifest.tokenizer!].map(objectName).sort();
  expect(bucket.written.slice(0, -3).sort()).toEqual(names);
  expect(await readable(bucket)).toBe("sample-1m");
});

test("a second run writes nothing", async () => {
  const bucket = memoryBucket();
  await upload(first, bucket, { settings: { ctx: 8 } });
  const before = bucket.written.length;
  const found = await upload(first, bucket, { settings: { ctx: 8 } });
  expect(found).toMatchObject({ sent: 0, sentBytes: 0, switched: false });
  expect(bucket.written.length).toBe(before);
});

test("other settings of the same pack are kept with its release, and nothing else is written", async () => {
  const bucket = memoryBucket();
  await upload(first, bucket, { settings: { ctx: 8 } });
  bucket.written.length = 0;
  await upload(first, bucket, { settings: { ctx: 16 } });
  expect(bucket.written).toEqual(["releases.json"]);
  const { list } = await readReleases(bucket, signal);
  expect(list).toMatchObject([{ checksum: first.manifest.checksum, settings: { ctx: 16 } }]);
});

test("progress counts what was there, ascends, and ends with everything", async () => {
  const bucket = memoryBucket();
  const seen: UploadProgress[] = [];
  await upload(first, bucket, { onProgress: (report: UploadProgress) => seen.push(report) });
  const loaded = seen.map((report) => report.loaded);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  expect(seen.at(-1)!.loaded).toBe(seen[0].total);
});

describe("an upload that ends at any write", () => {
  // The tokenizer is the first pack's.
  const writes = second.manifest.shards.length + 3;

  test.each(Array.from({ length: writes }, (_, i) => i))(
    "after %i of them leaves readers the pack that was there, and the next run sends the rest",
    async (left) => {
      const bucket = memoryBucket();
      await upload(first, bucket);
      bucket.written.length = 0;
      bucket.left = left;
      await expect(upload(second, bucket)).rejects.toMatchObject({ code: "source_failed" });
      expect(await readable(bucket)).toBe("sample-1m");
      expect(bucket.written.length).toBe(left);

      bucket.left = Number.POSITIVE_INFINITY;
      await upload(second, bucket);
      expect(await readable(bucket)).toBe("sample-2m");
      // Nothing twice, but for the list, which the first run may have written.
      const twice = bucket.written.filter((key, i) => bucket.written.indexOf(key) !== i);
      expect(twice.filter((key) => key !== "releases.json")).toEqual([]);
      const { list } = await readReleases(bucket, signal);
      expect(list.map(({ name }) => name)).toEqual(["sample-1m", "sample-2m"]);
    },
  );
});

test("a damaged file of the pack is not uploaded", async () => {
  const { folder, manifest } = await samplePack();
  folder.objects.get(objectName(manifest.shards[1]))![5] ^= 1;
  const bucket = memoryBucket();
  await expect(uploadPack(folder, bucket, { signal })).rejects.toMatchObject({ code: "corrupt" });
  expect(bucket.objects.has("manifest.json")).toBe(false);
});

describe("going back", () => {
  test("makes the release before current again, and a further one from there", async () => {
    const bucket = memoryBucket();
    await upload(first, bucket, { settings: { ctx: 8 } });
    await upload(second, bucket);
    const found = await rollBack(bucket, signal);
    expect(found).toMatchObject({
      from: second.manifest.checksum,
      to: { checksum: first.manifest.checksum, settings: { ctx: 8 } },
    });
    expect(await readable(bucket)).toBe("sample-1m");
    await expect(rollBack(bucket, signal)).rejects.toMatchObject({ code: "not_found" });
    // Forward again: nothing but the pointer is missing.
    expect(await upload(second, bucket)).toMatchObject({ sent: 0, switched: true });
    expect(await readable(bucket)).toBe("sample-2m");
  });

  test("that ends between its two writes has gone back, and does not go back twice", async () => {
    const bucket = memoryBucket();
    await upload(first, bucket);
    await upload(second, bucket);
    bucket.left = 1;
    await expect(rollBack(bucket, signal)).rejects.toMatchObject({ code: "source_failed" });
    expect(await readable(bucket)).toBe("sample-1m");
    const { list } = await readReleases(bucket, signal);
    expect(list.map(({ name }) => name)).toEqual(["sample-1m"]);
  });

  test("leaves readers of the newer release what they read", async () => {
    const bucket = memoryBucket();
    await upload(first, bucket);
    await upload(second, bucket);
    await rollBack(bucket, signal);
    expect(await readable(bucket, second.manifest.checksum)).toBe("sample-2m");
  });

  test("to a release that has lost an object is refused, and changes nothing", async () => {
    const bucket = memoryBucket();
    await upload(first, bucket);
    await upload(second, bucket);
    bucket.objects.delete(objectName(first.manifest.shards[0]));
    await expect(rollBack(bucket, signal)).rejects.toMatchObject({ code: "not_found" });
    expect(await readable(bucket)).toBe("sample-2m");
  });

  test("to a pack that was put there by other means works, too", async () => {
    const bucket = memoryBucket();
    for (const [name, bytes] of first.folder.objects) bucket.objects.set(name, bytes);
    await upload(second, bucket);
    await rollBack(bucket, signal);
    expect(await readable(bucket)).toBe("sample-1m");
  });

  test("from an empty bucket says that nothing is there", async () => {
    await expect(rollBack(memoryBucket(), signal)).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("nothing is deployed"),
    });
  });
});

test("a list of releases that is something else is refused", async () => {
  const bucket = memoryBucket();
  await upload(first, bucket);
  bucket.objects.set("releases.json", new TextEncoder().encode(`[{"checksum":"x"}]`));
  await expect(upload(second, bucket)).rejects.toMatchObject({ code: "bad_format" });
});
