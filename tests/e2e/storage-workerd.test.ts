/** Storage that fails, as a Worker sees it: R2's binding, S3 through a proxy, and a cache before them, in a real workerd. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startWorkerd, type Workerd } from "../../src/cli/workerd.ts";
import { objectName } from "../../src/pack/shards.ts";
import { STORAGE_FAULTS } from "../support/storage-faults.ts";
import { seededNumbers } from "./seeded-numbers.ts";
import {
  BUCKET,
  LIMIT_MS,
  once,
  type StorageBucket,
  startStorageBucket,
} from "./storage-bucket.ts";
import type { Loaded } from "./storage-load.ts";
import { type StoragePack, tinyPack } from "./storage-pack.ts";
import { R2_FAULTS, type R2Schedule } from "./storage-r2-faults.ts";

interface Outcome extends Loaded {
  /** Of R2. */
  readonly reads: number;
}

let bucket: StorageBucket;
let pack: StoragePack;
let folder: string;
let workerd: Workerd;
let right: Loaded;
beforeAll(async () => {
  [bucket, pack] = await Promise.all([startStorageBucket(), tinyPack()]);
  folder = await mkdtemp(join(tmpdir(), "pronk-storage-"));
  for (const [name, bytes] of pack.folder.objects) {
    await bucket.put(`tiny/${name}`, bytes);
    await writeFile(join(folder, name), bytes);
  }
  workerd = await startWorkerd("../tests/e2e/storage-worker", folder);
  const { reads: _, ...loaded } = await load({ asked: "" });
  right = loaded;
}, 100_000);
afterAll(async () => {
  await workerd?.close();
  await bucket?.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  bucket.proxy.choose = () => undefined;
});

async function load(query: Readonly<Record<string, string>>): Promise<Outcome> {
  const asked = new URLSearchParams({ limit: String(2 * LIMIT_MS), ...query });
  const answer = await fetch(`${workerd.url}/?${asked}`, { signal: AbortSignal.timeout(180_000) });
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  return JSON.parse(text);
}
const fromR2 = (...faults: readonly R2Schedule[]): Promise<Outcome> =>
  load({ faults: JSON.stringify(faults) });
const shard = (): string => objectName(pack.manifest.shards[1]!);

test("bytes and tokens come out of R2", () => {
  expect(right.digest).toMatch(/^[0-9a-f]{64}$/);
  expect(right.ids?.length).toBe(8);
});

describe.each<[string, () => string]>([
  ["the manifest", () => "manifest.json"],
  ["a shard", shard],
  ["the tokenizer", () => objectName(pack.manifest.tokenizer!)],
])("one spoiled answer of R2 for %s is survived", (_, key) => {
  test.each(Object.keys(R2_FAULTS))("%s", async (name) => {
    const { digest, error } = await fromR2({ key: key(), faults: [name] });
    expect(error).toBeUndefined();
    expect(digest).toBe(right.digest);
  });
});

describe("a shard of R2 whose answers all are spoiled is refused by name", () => {
  const harmless = ["a byte too many", "another ETag"];
  const corrupt = ["a flipped bit", "other bytes", "another size"];
  test.each(Object.keys(R2_FAULTS))("%s", async (name) => {
    const loaded = await fromR2({ key: shard(), faults: [name], isForGood: true });
    if (harmless.includes(name)) return expect(loaded.digest).toBe(right.digest);
    expect(loaded.error).toMatchObject({
      code: corrupt.includes(name) ? "corrupt" : "source_failed",
      message: expect.stringContaining(
        `r2:model: shard 2 of ${pack.manifest.shards.length}: r2:model/${shard()}: `,
      ),
    });
    expect(loaded.reads).toBeLessThanOrEqual(20);
  });
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  "any faults at any answers of R2, seed %d: the right bytes and tokens, or a failure by name",
  async (seed) => {
    const random = seededNumbers(seed);
    const names = Object.keys(R2_FAULTS);
    const keys = [...pack.folder.objects.keys()];
    const faults = keys.map((key) => ({
      key,
      faults: Array.from({ length: 4 }, () =>
        random(2) === 0 ? names[random(names.length)]! : null,
      ),
    }));
    const { reads: _, ...loaded } = await load({ faults: JSON.stringify(faults), asked: "" });
    if (loaded.error === undefined) return expect(loaded).toEqual(right);
    expect(["source_failed", "corrupt", "bad_format", "unsupported"]).toContain(loaded.error.code);
    expect(loaded.error.message).toMatch(/r2:model.*(?:manifest\.json|[0-9a-f]{64}\.bin): ./);
  },
);

describe("one spoiled answer of S3 is survived in workerd", () => {
  test.each(Object.keys(STORAGE_FAULTS))("%s", async (name) => {
    once(bucket.proxy, STORAGE_FAULTS[name]!, ({ path }) => path.endsWith(shard()));
    const { digest, error } = await load({ s3: bucket.proxy.url, bucket: BUCKET });
    expect(error).toBeUndefined();
    expect(digest).toBe(right.digest);
  });
});

describe("a cache before R2", () => {
  let caches = 0;

  test("that holds damaged bytes gives them up: fetched once, and right from then on", async () => {
    const cache = `damaged-${caches++}`;
    const objects = pack.manifest.shards.length + 1;
    expect((await load({ cache })).reads).toBe(1 + objects);
    // The manifest alone.
    expect((await load({ cache })).reads).toBe(1);
    const healed = await load({ cache, poison: shard() });
    expect(healed).toMatchObject({ digest: right.digest, reads: 2 });
    expect(await load({ cache })).toMatchObject({ digest: right.digest, reads: 1 });
  });

  test.each(Object.keys(R2_FAULTS))("keeps nothing of R2's %s", async (name) => {
    const cache = `spoiled-${caches++}`;
    const faults = JSON.stringify([{ key: shard(), faults: [name] }]);
    expect((await load({ cache, faults })).digest).toBe(right.digest);
    const { digest, reads } = await load({ cache });
    expect(digest).toBe(right.digest);
    // What broke off was read on from storage, and is put into the cache by the next load.
    expect(reads).toBeLessThanOrEqual(2);
  });
});
