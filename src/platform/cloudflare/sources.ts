/** Where a Worker's weights come from, beside R2: its own assets, S3, and the Cache API before any of them. */
import { type CacheOptions, cachedFolder } from "../../sources/cached.ts";
import { type S3Options, s3Folder } from "../../sources/s3.ts";
import type { SourceFolder } from "../../sources/source.ts";

export type { S3CredentialSource, S3Credentials } from "../../sources/s3-fetch.ts";

/** workerd's own: a body whose length is announced, as caches want it. */
declare class FixedLengthStream {
  constructor(bytes: number);
  readonly readable: ReadableStream;
  readonly writable: WritableStream;
}

/** An S3 bucket; without `credentials` one that everybody may read. */
export function s3Source(
  options: Omit<S3Options, "fetch"> & Partial<Pick<S3Options, "fetch">>,
): SourceFolder {
  // Workers refuse a fetch that is called as another object's method.
  return s3Folder({ fetch: (input, init) => fetch(input, init), ...options });
}

export interface WorkerCacheOptions extends Pick<CacheOptions, "baseUrl"> {
  /** Of a cache of its own; default: `caches.default`. */
  readonly cacheName?: string;
}

/**
 * Shards of `folder` kept in the Cache API of the place where the Worker runs, 512 MB an object at most.
 * To be called for every load, as `pack` of createWorker() does it.
 *
 * @example pack: (env) => cachedSource(r2Source(env.MODELS, env.PACK))
 */
export function cachedSource(folder: SourceFolder, options: WorkerCacheOptions = {}): SourceFolder {
  const { baseUrl, cacheName } = options;
  const { default: shared } = caches as unknown as { default: Cache };
  const open = async (): Promise<never> =>
    (cacheName === undefined ? shared : await caches.open(cacheName)) as never;
  return cachedFolder(folder, open, {
    ...(baseUrl !== undefined && { baseUrl }),
    fixLength: (body, bytes) => {
      const { readable, writable } = new FixedLengthStream(bytes);
      // Its failure is that of the put.
      body.pipeTo(writable).catch(() => undefined);
      return readable;
    },
  });
}
