/**
 * A prefix of wrangler's R2 on this machine, through its platform proxy: one workerd for all objects, where wrangler's
 * commands start a process for each (2 s an object).
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { throwIfAborted } from "../../errors.ts";
import { type Bucket, cacheControl } from "./bucket.ts";
import { QUIET_WRANGLER } from "./wrangler.ts";

/** The objects lie in memory on both sides of a socket: more at once is more memory, not more speed. */
const LANES = 2;

/** What is used of R2's binding. */
interface R2Bucket {
  head(key: string): Promise<{ readonly size: number } | null>;
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  put(key: string, value: Uint8Array, options: object): Promise<unknown>;
  delete(key: string): Promise<void>;
  list(options: { readonly prefix: string; readonly cursor?: string }): Promise<{
    readonly objects: readonly { readonly key: string }[];
    readonly truncated: boolean;
    readonly cursor?: string;
  }>;
}

interface Proxy {
  readonly env: { readonly BUCKET: R2Bucket };
  dispose(): Promise<void>;
}

export interface LocalBucketOptions {
  readonly bucket: string;
  /** Without slashes at its ends. */
  readonly prefix: string;
  /** What wrangler's --persist-to names. */
  readonly state: string;
}

/**
 * @param module wrangler's, as its package names it.
 */
export function localBucket(
  module: string,
  { bucket, prefix, state }: LocalBucketOptions,
): Bucket & { close(): Promise<void> } {
  let proxy: Promise<Proxy> | undefined;
  const open = async (signal: AbortSignal): Promise<R2Bucket> => {
    throwIfAborted(signal);
    proxy ??= openProxy(module, bucket, state);
    return (await proxy).env.BUCKET;
  };
  const keyOf = (key: string): string => `${prefix}/${key}`;
  return {
    name: `${bucket}/${prefix}, wrangler's R2 on this machine`,
    lanes: LANES,
    asks: true,
    prepare: async (signal) => void (await open(signal)),
    async has(key, bytes, signal) {
      return (await (await open(signal)).head(keyOf(key)))?.size === bytes;
    },
    async read(key, signal) {
      const found = await (await open(signal)).get(keyOf(key));
      return found ? new Uint8Array(await found.arrayBuffer()) : undefined;
    },
    async write(object, signal) {
      const { key, bytes, sha256, contentType } = object;
      const httpMetadata = { contentType, cacheControl: cacheControl(object) };
      await (await open(signal)).put(keyOf(key), bytes, { sha256, httpMetadata });
    },
    async keys(signal) {
      const r2 = await open(signal);
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await r2.list({ prefix: `${prefix}/`, ...(cursor && { cursor }) });
        for (const { key } of page.objects) found.push(key.slice(prefix.length + 1));
        cursor = page.truncated ? page.cursor : undefined;
      } while (cursor !== undefined);
      return found;
    },
    async remove(key, signal) {
      await (await open(signal)).delete(keyOf(key));
    },
    async close() {
      const opened = proxy;
      proxy = undefined; // What asks later opens it again.
      await (await opened)?.dispose();
    },
  };
}

async function openProxy(module: string, bucket: string, state: string): Promise<Proxy> {
  for (const [name, value] of Object.entries(QUIET_WRANGLER)) process.env[name] ??= value;
  const { getPlatformProxy } = await import(pathToFileURL(module).href);
  const folder = await mkdtemp(join(tmpdir(), "pronk-deploy-"));
  try {
    const configPath = join(folder, "wrangler.json");
    const buckets = [{ binding: "BUCKET", bucket_name: bucket }];
    const config = { name: "pronk", compatibility_date: "2026-04-01", r2_buckets: buckets };
    await writeFile(configPath, JSON.stringify(config));
    // wrangler keeps each version's state in a folder of its own, which only its commands add.
    return await getPlatformProxy({ configPath, persist: { path: join(state, "v3") } });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
