import { expect, test } from "vitest";
import { planPrune, prune } from "../../../../src/cli/deploy/prune.ts";
import { readReleases, rollBack } from "../../../../src/cli/deploy/releases.ts";
import { uploadPack } from "../../../../src/cli/deploy/upload.ts";
import { loadWeights, readManifest } from "../../../../src/pack/loader.ts";
import { releaseName } from "../../../../src/pack/release.ts";
import { objectName } from "../../../../src/pack/shards.ts";
import { SAMPLE_FIELDS, samplePack } from "../../pack/sample-pack.ts";
import { type MemoryBucket, memoryBucket } from "./memory-bucket.ts";

const { signal } = new AbortController();
type Pack = Awaited<ReturnType<typeof samplePack>>;

/** The same weights, so that some have the same shards, others none of another's. */
const SHARD_BYTES = [4096, 8192, 4096, 16384, 8192];
const packs: Pack[] = [];
for (const [i, shardBytes] of SHARD_BYTES.entries()) {
  packs.push(await samplePack({ manifest: { ...SAMPLE_FIELDS, name: `sample-${i}` }, shardBytes }));
}

async function filled(count: number): Promise<MemoryBucket> {
  const bucket = memoryBucket();
  for (const { folder } of packs.slice(0, count)) await uploadPack(folder, bucket, { signal });
  return bucket;
}

const objectsOf = ({ manifest }: Pack): string[] =>
  [...manifest.shards, ...(manifest.tokenizer ? [manifest.tokenizer] : [])].map(objectName);

const checksums = (...which: number[]): (string | undefined)[] =>
  which.map((i) => packs[i].manifest.checksum);

/** What no release of these needs must be gone, and what they need there. */
function expectOnly(bucket: MemoryBucket, ...which: number[]): void {
  const kept = which.map((i) => packs[i]);
  const expected = new Set(["manifest.json", "releases.json"]);
  for (const pack of kept) {
    expected.add(releaseName(pack.manifest.checksum!));
    for (const key of objectsOf(pack)) expected.add(key);
  }
  expect([...bucket.objects.keys()].sort()).toEqual([...expected].sort());
}

test("the newest releases stay whole; of the others goes what those do not have", async () => {
  const bucket = await filled(5);
  const plan = await planPrune(bucket, 2, signal);
  expect(plan.dropped.map(({ checksum }) => checksum).sort()).toEqual(checksums(0, 1, 2).sort());
  const lost = new Set(objectsOf(packs[0]));
  for (const key of [...objectsOf(packs[3]), ...objectsOf(packs[4])]) lost.delete(key);
  expect(new Set(plan.keys)).toEqual(lost);
  expect(lost.size).toBeGreaterThan(0);
  await prune(bucket, plan, signal);
  expectOnly(bucket, 3, 4);
  const { list } = await readReleases(bucket, signal);
  expect(list.map(({ name }) => name)).toEqual(["sample-3", "sample-4"]);
  expect((await rollBack(bucket, signal)).to.name).toBe("sample-3");
  const manifest = await readManifest(bucket.folder);
  await loadWeights(bucket.folder, manifest, new Uint8Array(manifest.weight_bytes));
});

test("planning changes nothing; what is about to be current counts as if it were", async () => {
  const bucket = await filled(3);
  const { written } = bucket;
  const before = written.length;
  const { manifest } = packs[3];
  const next = { checksum: manifest.checksum!, manifest };
  const plan = await planPrune(bucket, 2, signal, next);
  expect(plan.dropped.map(({ name }) => name).sort()).toEqual(["sample-0", "sample-1"]);
  // The third has the first one's.
  expect([...plan.keys].sort()).toEqual(
    objectsOf(packs[1])
      .filter((key) => !objectsOf(packs[2]).includes(key))
      .sort(),
  );
  expect(written.length).toBe(before);
  expect((await planPrune(bucket, 3, signal)).dropped).toEqual([]);
});

test("a release that was rolled back goes, too; one that comes again counts once", async () => {
  const bucket = await filled(3);
  await rollBack(bucket, signal);
  await uploadPack(packs[3].folder, bucket, { signal });
  await uploadPack(packs[1].folder, bucket, { signal });
  const plan = await planPrune(bucket, 2, signal);
  expect(plan.dropped.map(({ name }) => name).sort()).toEqual(["sample-0", "sample-2"]);
  await prune(bucket, plan, signal);
  expectOnly(bucket, 1, 3);
  expect((await rollBack(bucket, signal)).to.name).toBe("sample-3");
});

test("pruning that ends at any step leaves what is kept whole, and is finished by the next", async () => {
  const steps = (await planPrune(await filled(5), 2, signal)).keys.length + 4;
  for (let left = 0; left < steps; left++) {
    const bucket = await filled(5);
    bucket.left = left;
    await expect(prune(bucket, await planPrune(bucket, 2, signal), signal)).rejects.toThrow("gone");
    bucket.left = Number.POSITIVE_INFINITY;
    for (const i of [3, 4]) {
      for (const key of objectsOf(packs[i])) expect(bucket.objects.has(key)).toBe(true);
    }
    await prune(bucket, await planPrune(bucket, 2, signal), signal);
    // The mark of one that was killed stays until the next deployment has waited for it.
    for (const key of bucket.objects.keys()) {
      if (key.startsWith("pruning/")) bucket.objects.delete(key);
    }
    expectOnly(bucket, 3, 4);
  }
});

test("what no release names is left alone, and nothing goes where a kept manifest is missing", async () => {
  const bucket = await filled(4);
  const others = [`${"a".repeat(64)}.bin`, "notes.txt", "releases/readme.json"];
  for (const key of others) bucket.objects.set(key, new Uint8Array(3));
  await prune(bucket, await planPrune(bucket, 2, signal), signal);
  for (const key of others) expect(bucket.objects.has(key)).toBe(true);
  bucket.objects.delete(releaseName(packs[2].manifest.checksum!));
  await expect(planPrune(bucket, 2, signal)).rejects.toMatchObject({ code: "not_found" });
});
