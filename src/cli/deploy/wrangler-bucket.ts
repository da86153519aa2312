/**
 * A prefix of an R2 bucket by wrangler's own login: no keys of S3's API are needed. wrangler lists nothing, so what is there is
 * known from a journal beside the configuration and from the releases in the bucket.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PronkError } from "../../errors.ts";
import { writeFileAtomically } from "../../platform/host/atomic-file.ts";
import { timerSleep } from "../../sources/sleep.ts";
import { type Bucket, cacheControl } from "./bucket.ts";
import type { Wrangler } from "./wrangler.ts";

/** Each is a process that starts Node: more share its cores. */
const LANES = 2;

/** Two processes at once would find each other's database locked. */
const LOCAL_LANES = 1;

/** A shard of 16 MiB on a line of 1 Mbit/s. */
const OBJECT_TIMEOUT_MS = 180_000;

/** Of R2, on Cloudflare or on this machine, where it had too much to do: asked again, it answers. */
const PASSING =
  /unspecified error|internal error|service unavailable|too many requests|timed out|connection lost/i;

/** With two waits of a second or two: a process of wrangler takes about as long to start. */
const ATTEMPTS = 3;
const WAIT_MS = 1000;

export interface WranglerBucketOptions {
  readonly bucket: string;
  /** Without slashes at its ends. */
  readonly prefix: string;
  /** The project's folder: the journal lies here. */
  readonly folder: string;
  /** Where a local R2 keeps its objects; absent: Cloudflare's. */
  readonly local?: string;
}

export function wranglerBucket(wrangler: Wrangler, options: WranglerBucketOptions): Bucket {
  const { bucket, prefix, folder, local } = options;
  const where = local === undefined ? ["--remote"] : ["--local", "--persist-to", local];
  const journal = new Journal(
    join(folder, local === undefined ? "uploaded.json" : "uploaded-local.json"),
    `${bucket}/${prefix}`,
  );
  const object = async (
    verb: "get" | "put" | "delete",
    key: string,
    more: readonly string[],
    signal: AbortSignal,
  ): Promise<string> => {
    const args = ["r2", "object", verb, `${bucket}/${prefix}/${key}`, ...more, ...where];
    for (let attempt = 1; ; attempt++) {
      try {
        return await wrangler.run(args, { cwd: folder, signal, timeoutMs: OBJECT_TIMEOUT_MS });
      } catch (error) {
        const isPassing = PASSING.test((error as Error).message);
        if (!isPassing || attempt === ATTEMPTS || signal.aborted) throw error;
      }
      await timerSleep(WAIT_MS * attempt, signal);
    }
  };
  return {
    name: `${bucket}/${prefix}, ${local === undefined ? "by wrangler" : "wrangler's R2 on this machine"}`,
    lanes: local === undefined ? LANES : LOCAL_LANES,
    asks: false,
    async prepare(signal) {
      if (local === undefined) await createBucket(wrangler, bucket, folder, signal);
    },
    know: (keys) => journal.know(keys),
    has: async (key) => journal.has(key),
    async read(key, signal) {
      const scratch = await mkdtemp(join(tmpdir(), "pronk-deploy-"));
      try {
        const file = join(scratch, "object");
        await object("get", key, ["--file", file], signal);
        return new Uint8Array(await readFile(file));
      } catch (error) {
        if (/key does not exist/i.test((error as Error).message)) return undefined;
        throw error;
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    },
    async write(put, signal) {
      const scratch = await mkdtemp(join(tmpdir(), "pronk-deploy-"));
      try {
        const file = join(scratch, "object");
        await writeFile(file, put.bytes);
        const headers = ["--content-type", put.contentType, "--cache-control", cacheControl(put)];
        await object("put", put.key, ["--file", file, ...headers], signal);
        if (put.immutable) await journal.add(put.key);
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    },
    keys: () => journal.keys(),
    async remove(key, signal) {
      // wrangler says nothing else of one that is not there.
      await object("delete", key, [], signal);
      await journal.remove(key);
    },
  };
}

/** One that is there is as good. */
async function createBucket(
  wrangler: Wrangler,
  bucket: string,
  cwd: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await wrangler.run(["r2", "bucket", "create", bucket], { cwd, signal });
  } catch (error) {
    if (error instanceof PronkError && /already exists/i.test(error.message)) return;
    throw error;
  }
}

/** The keys that were written to one place. */
class Journal {
  readonly #file: string;
  readonly #place: string;
  readonly #keys = new Set<string>();
  #loaded: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: string, place: string) {
    this.#file = file;
    this.#place = place;
  }

  know(keys: readonly string[]): void {
    for (const key of keys) this.#keys.add(key);
  }

  async has(key: string): Promise<boolean> {
    await this.#load();
    return this.#keys.has(key);
  }

  async keys(): Promise<readonly string[]> {
    await this.#load();
    return [...this.#keys];
  }

  async add(key: string): Promise<void> {
    await this.#load();
    this.#keys.add(key);
    await this.#write();
  }

  async remove(key: string): Promise<void> {
    await this.#load();
    this.#keys.delete(key);
    await this.#write();
  }

  /** One after the other: the last one says all. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => {
      const text = JSON.stringify({ place: this.#place, keys: [...this.#keys] });
      return writeFileAtomically(this.#file, new TextEncoder().encode(text));
    });
    return this.#writing;
  }

  #load(): Promise<void> {
    this.#loaded ??= readFile(this.#file, "utf8")
      .then((text) => {
        const { place, keys } = JSON.parse(text);
        if (place === this.#place && Array.isArray(keys)) this.know(keys);
      })
      // Missing or damaged: objects are sent again.
      .catch(() => undefined);
    return this.#loaded;
  }
}
