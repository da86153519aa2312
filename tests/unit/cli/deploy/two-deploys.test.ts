/** Several deployments to one prefix at once, in every order that a seed makes of their requests. */
import { describe, expect, test } from "vitest";
import type { Bucket } from "../../../../src/cli/deploy/bucket.ts";
import { planPrune, prune } from "../../../../src/cli/deploy/prune.ts";
import { readReleases, rollBack } from "../../../../src/cli/deploy/releases.ts";
import { uploadPack } from "../../../../src/cli/deploy/upload.ts";
import { loadWeights, readManifest } from "../../../../src/pack/loader.ts";
import { packRelease } from "../../../../src/pack/release.ts";
import { SAMPLE_FIELDS, samplePack } from "../../pack/sample-pack.ts";
import { memoryBucket } from "./memory-bucket.ts";

const { signal } = new AbortController();
const SEEDS = 60;

/** They share shards: what one prunes another may be about to use again. */
const packs = await Promise.all(
  ["old", "older", "one", "two", "three"].map((name) =>
    samplePack({ manifest: { ...SAMPLE_FIELDS, name } }),
  ),
);
const [old, older, one, two, three] = packs as [
  (typeof packs)[0],
  (typeof packs)[0],
  (typeof packs)[0],
  (typeof packs)[0],
  (typeof packs)[0],
];

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
}

/** Each request of a bucket waits until it is drawn. */
function drawn(seed: number): {
  wrap: (bucket: Bucket) => Bucket;
  run: (all: Promise<unknown>[]) => Promise<void>;
} {
  const random = seeded(seed);
  const waiting: (() => void)[] = [];
  const turn = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  return {
    wrap: (bucket) => ({
      name: bucket.name,
      lanes: 2,
      asks: true,
      prepare: async () => {},
      has: (...args) => turn().then(() => bucket.has(...args)),
      read: (...args) => turn().then(() => bucket.read(...args)),
      write: (...args) => turn().then(() => bucket.write(...args)),
      keys: (...args) => turn().then(() => bucket.keys(...args)),
      remove: (...args) => turn().then(() => bucket.remove(...args)),
    }),
    async run(all) {
      let isOver = false;
      const over = Promise.all(all).finally(() => {
        isOver = true;
      });
      over.catch(() => undefined);
      while (!isOver) {
        // Whatever follows from the last draw comes first.
        await new Promise((resolve) => setImmediate(resolve));
        const [next] = waiting.splice(Math.floor(random() * waiting.length), 1);
        next?.();
      }
      await over;
    },
  };
}

async function deploy(pack: (typeof packs)[0], bucket: Bucket, keep?: number): Promise<void> {
  await uploadPack(pack.folder, bucket, { signal, settings: { ctx: 8 }, sleep: async () => {} });
  if (keep !== undefined) await prune(bucket, await planPrune(bucket, keep, signal), signal);
}

async function readable(
  bucket: ReturnType<typeof memoryBucket>,
  release?: string,
): Promise<string> {
  const folder = packRelease(bucket.folder, release);
  const manifest = await readManifest(folder);
  await loadWeights(folder, manifest, new Uint8Array(manifest.weight_bytes));
  return manifest.name;
}

describe.each([
  ["two", [one, two]],
  ["three", [one, two, three]],
] as const)("%s deployments at once", (_, at) => {
  test("end with one of them current and whole, and lose nothing of what was before", async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const bucket = memoryBucket();
      for (const pack of [older, old]) await deploy(pack, bucket);
      const { wrap, run } = drawn(seed);
      await run(at.map((pack) => deploy(pack, wrap(bucket))));
      const name = await readable(bucket);
      expect(
        at.map(({ manifest }) => manifest.name),
        `seed ${seed}`,
      ).toContain(name);
      const { list } = await readReleases(bucket, signal);
      const names = list.map((release) => release.name);
      expect(names.slice(0, 2), `seed ${seed}`).toEqual(["older", "old"]);
      expect(names.at(-1), `seed ${seed}`).toBe(name);
      // Each of them was current for a while, or never: whoever is listed can be gone back to.
      for (const { checksum } of list) await readable(bucket, checksum);
      await rollBack(bucket, signal);
      expect(await readable(bucket), `seed ${seed}`).toBe(names.at(-2));
    }
  });

  test("with old releases going meanwhile, what is current is whole, before and after going back", async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const bucket = memoryBucket();
      for (const pack of [older, old]) await deploy(pack, bucket);
      const { wrap, run } = drawn(seed);
      // Pruning that finds what it would keep gone does nothing, as the command says then.
      const refused = (error: unknown): void => {
        if ((error as { code?: string }).code !== "not_found") throw error;
      };
      await run(at.map((pack) => deploy(pack, wrap(bucket), 2).catch(refused)));
      const name = await readable(bucket);
      expect(
        at.map(({ manifest }) => manifest.name),
        `seed ${seed}`,
      ).toContain(name);
      const { list } = await readReleases(bucket, signal);
      expect(list.at(-1)?.name, `seed ${seed}`).toBe(name);
      // What another one pruned is not gone back to; nothing changes then.
      await rollBack(bucket, signal).catch(refused);
      await readable(bucket);
    }
  });
});

test("the mark of a process that was killed while it deleted is waited for once, and removed", async () => {
  const bucket = memoryBucket();
  await deploy(old, bucket);
  bucket.objects.set("pruning/killed.json", new Uint8Array([1]));
  let waited = 0;
  const sleep = async (ms: number): Promise<void> => {
    waited += ms;
  };
  await uploadPack(one.folder, bucket, { signal, sleep });
  expect(waited).toBe(30_000);
  expect([...bucket.objects.keys()].filter((key) => key.startsWith("pruning/"))).toEqual([]);
  await uploadPack(two.folder, bucket, { signal, sleep });
  expect(waited).toBe(30_000);
});
