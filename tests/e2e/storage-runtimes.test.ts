/** Storage that fails, as Node, Deno and Bun see it: their fetch, their streams, the same bytes and tokens. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findRuntime } from "../../src/cli/runtimes.ts";
import { objectName } from "../../src/pack/shards.ts";
import { STORAGE_FAULTS } from "../support/storage-faults.ts";
import { seededNumbers } from "./seeded-numbers.ts";
import {
  BUCKET,
  CREDENTIALS,
  LIMIT_MS,
  once,
  type StorageBucket,
  scheduled,
  startStorageBucket,
} from "./storage-bucket.ts";
import type { StorageCase, StorageOutcome } from "./storage-child.ts";
import type { Loaded } from "./storage-load.ts";
import { largePack, type StoragePack, tinyPack } from "./storage-pack.ts";

const program = fileURLToPath(new URL("storage-child.ts", import.meta.url));
const CASE_TIMEOUT_MS = 180_000;

let bucket: StorageBucket;
let pack: StoragePack;
let large: StoragePack;
beforeAll(async () => {
  [bucket, pack, large] = await Promise.all([startStorageBucket(), tinyPack(), largePack()]);
  for (const [name, bytes] of pack.folder.objects) await bucket.put(`tiny/${name}`, bytes);
  for (const [name, bytes] of large.folder.objects) await bucket.put(`large/${name}`, bytes);
}, 60_000);
afterAll(() => bucket?.close());

/** One process for all cases of a runtime. */
class Loader {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #errors = "";

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, [...args, program], {
      env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", DO_NOT_TRACK: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
    });
  }

  async load(more: Partial<StorageCase> = {}): Promise<StorageOutcome> {
    const asked: StorageCase = {
      url: bucket.proxy.url,
      bucket: BUCKET,
      prefix: "tiny",
      credentials: CREDENTIALS,
      limitMs: LIMIT_MS,
      ...more,
    };
    this.#child.stdin!.write(`${JSON.stringify(asked)}\n`);
    const late = setTimeout(() => this.#child.kill("SIGKILL"), CASE_TIMEOUT_MS);
    const { done, value } = await this.#lines.next();
    clearTimeout(late);
    if (done) throw new Error(`ended: ${this.#errors}`);
    return JSON.parse(value);
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }
}

/** What all have to give. */
let first: Loaded | undefined;

describe.each<[string, () => Loader]>([
  ["a newer node", () => new Loader(findRuntime("node"), [])],
  ["deno", () => new Loader(findRuntime("deno"), ["run", "-A"])],
  ["bun", () => new Loader(findRuntime("bun"), ["run"])],
])("on %s", (runtime, start) => {
  let loader: Loader;
  let right: Loaded;
  beforeAll(async () => {
    loader = start();
    bucket.proxy.choose = () => undefined;
    const { grownBytes: _, ...loaded } = await loader.load({ isAsked: true });
    right = loaded;
    first ??= right;
  });
  afterAll(() => loader?.close());

  test("bytes and tokens are those of the others", () => {
    expect(right.ids?.length).toBe(8);
    expect(right).toEqual(first);
  });

  // storage-faults.test.ts has them on Node.
  const names = runtime === "a newer node" ? ["a flipped bit"] : Object.keys(STORAGE_FAULTS);
  test.each(names)("one answer, %s, is survived", async (name) => {
    const shard = objectName(pack.manifest.shards[1]!);
    once(bucket.proxy, STORAGE_FAULTS[name]!, ({ path }) => path.endsWith(shard));
    expect(await loader.load()).toMatchObject({ digest: right.digest });
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
    "any faults at any requests, seed %d: the right bytes and tokens, or a failure by name",
    async (seed) => {
      const faults = Object.values(STORAGE_FAULTS);
      scheduled(bucket.proxy, faults, seededNumbers(1000 + seed), 2 + (seed % 3) * 2);
      const { grownBytes: _, ...loaded } = await loader.load({ isAsked: true });
      if (loaded.error === undefined) return expect(loaded).toEqual(right);
      expect(["source_failed", "corrupt", "bad_format", "unsupported"]).toContain(
        loaded.error.code,
      );
      expect(loaded.error.message).toMatch(/faults\/tiny.*(?:manifest\.json|\w{64}\.bin): ./);
    },
  );
});

test("tries cost no memory: 16 MiB shards that come wrong, cut and whole, take what one load takes", async () => {
  const loader = new Loader(findRuntime("node"), ["--expose-gc"]);
  try {
    const measured = { prefix: "large", limitMs: 5000, isMeasured: true };
    bucket.proxy.choose = () => undefined;
    // The first one pays for what is compiled.
    await loader.load(measured);
    const clean = [
      await loader.load(measured),
      await loader.load(measured),
      await loader.load(measured),
    ];
    const { digest } = clean[0]!;
    if (clean[0]!.grownBytes === null) return;
    const most = Math.max(...clean.map((load) => load.grownBytes!));
    const more: number[] = [];
    for (const name of [
      "a flipped bit",
      "reset in the middle of the body",
      "200 with everything",
      "a range that is shifted",
    ]) {
      // Each shard's first answer.
      const met = new Set<string>();
      bucket.proxy.choose = ({ path }) => {
        if (!path.endsWith(".bin") || met.has(path)) return undefined;
        met.add(path);
        return STORAGE_FAULTS[name];
      };
      const spoiled = await loader.load(measured);
      expect(spoiled.digest, `${name}: ${JSON.stringify(spoiled.error)}`).toBe(digest);
      more.push(spoiled.grownBytes! - most);
    }
    expect(Math.max(...more), more.join()).toBeLessThan(16 * 1024 * 1024);
  } finally {
    loader.close();
  }
});
