/**
 * A cache in front of storage: immutable objects are kept whole in a Cache (of Workers, Deno, browsers)
 * and read from it by the next isolate.
 *
 * What comes from a cache is not trusted more than what comes from storage: an object that is asked for
 * again was refused by who verified it, wherever it came from, so it leaves the cache and comes from storage.
 * A cache that fails costs time, never the load. Nothing is held: bodies stream into the destination, and out of it.
 */
import { throwIfAborted } from "../errors.ts";
import { checkRead } from "./check-read.ts";
import { copyBody, type Scratch } from "./copy-body.ts";
import { type Sleep, timerSleep } from "./sleep.ts";
import type { ByteSource, ReadProgress, SourceFolder } from "./source.ts";
import { LEAST_BYTES, Watchdog } from "./watchdog.ts";

/** What is used of `Cache`: `caches.default`, or what `caches.open()` gives. */
export interface CacheLike {
  match(url: string): Promise<CachedResponse | undefined>;
  put(url: string, response: never): Promise<void>;
  delete(url: string): Promise<boolean>;
}

/** What is used of a `Response`; Cloudflare's types of streams and the platforms' are not assignable. */
interface CachedResponse {
  readonly headers: { get(name: string): string | null };
  readonly body: { cancel(reason?: unknown): Promise<void> } | null;
}

export interface CacheOptions {
  /**
   * Before the names, in the keys; a host that nobody asks. Objects named by their content may be shared by
   * all models. Default `https://pronk.invalid/`.
   */
  readonly baseUrl?: string;
  /** Whether an object with this name never changes. Default: names that hold a SHA-256 in hex. */
  readonly isImmutable?: (name: string) => boolean;
  /**
   * A body of known length, as caches want it: in Workers made by FixedLengthStream. Default: the stream
   * itself, with a content-length header.
   */
  readonly fixLength?: (body: ReadableStream<Uint8Array>, bytes: number) => ReadableStream;
  /** In which a body of the cache has to bring 4 KiB, or its end. Default 10 s. */
  readonly stallTimeoutMs?: number;
  readonly sleep?: Sleep;
}

const DEFAULT_BASE_URL = "https://pronk.invalid/";
const STALL_TIMEOUT_MS = 10_000;

/** A year, the longest that HTTP's caches are told. */
const CACHE_CONTROL = "public, max-age=31536000, immutable";

/** Of a body on its way into the cache: what it copies at a time. */
const CHUNK_BYTES = 64 * 1024;

const namesItsContent = (name: string): boolean =>
  /(?:^|[^0-9a-f])[0-9a-f]{64}(?![0-9a-f])/.test(name);

/**
 * `folder` behind `cache`. Keep it for one load: it remembers what it gave.
 *
 * @param cache may come late, since Workers open caches in requests only.
 */
export function cachedFolder(
  folder: SourceFolder,
  cache: CacheLike | (() => Promise<CacheLike>),
  options: CacheOptions = {},
): SourceFolder {
  const { isImmutable = namesItsContent, baseUrl = DEFAULT_BASE_URL } = options;
  const opened = typeof cache === "function" ? cache : () => Promise.resolve(cache);
  /** Objects that were asked for once: asked for again, what came was not what it should be. */
  const given = new Set<string>();
  return {
    name: folder.name,
    async open(name, signal, size) {
      if (!isImmutable(name) || size === undefined) return folder.open(name, signal, size);
      // Refuses names that lead elsewhere; with the size nothing is asked of storage yet.
      const source = await folder.open(name, signal, size);
      const url = new URL(name.split("/").map(encodeURIComponent).join("/"), baseUrl).href;
      return new CachedSource(source, url, opened, given, options);
    },
  };
}

class CachedSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #source: ByteSource;
  readonly #url: string;
  readonly #open: () => Promise<CacheLike>;
  readonly #given: Set<string>;
  readonly #options: CacheOptions;
  readonly #scratch: Scratch = { idle: undefined };

  constructor(
    source: ByteSource,
    url: string,
    open: () => Promise<CacheLike>,
    given: Set<string>,
    options: CacheOptions,
  ) {
    this.name = source.name;
    this.size = source.size;
    this.#source = source;
    this.#url = url;
    this.#open = open;
    this.#given = given;
    this.#options = options;
  }

  async readInto(
    destination: Uint8Array,
    start: number,
    signal?: AbortSignal,
    onProgress?: ReadProgress,
  ): Promise<void> {
    checkRead(this, destination, start, signal);
    // Parts are for who looks into a file, not for who loads it.
    if (start !== 0 || destination.length !== this.size || this.size === 0) {
      return this.#source.readInto(destination, start, signal, onProgress);
    }
    const cache = await this.#open().catch(() => undefined);
    throwIfAborted(signal);
    let told = 0;
    const report: ReadProgress = (bytes) => {
      told = Math.max(told, bytes);
      onProgress?.(told);
    };
    if (cache !== undefined && (await this.#match(cache, destination, signal, report))) return;
    await this.#source.readInto(destination, 0, signal, report);
    if (cache !== undefined) await this.#put(cache, destination).catch(() => undefined);
  }

  /** Whether the cache had all of it. */
  async #match(
    cache: CacheLike,
    destination: Uint8Array,
    signal: AbortSignal | undefined,
    report: ReadProgress,
  ): Promise<boolean> {
    const url = this.#url;
    // Also what storage gave: it was put there as it came, before anybody had verified it.
    if (this.#given.has(url)) {
      await cache.delete(url).catch(() => false);
      return false;
    }
    this.#given.add(url);
    const { sleep = timerSleep, stallTimeoutMs = STALL_TIMEOUT_MS } = this.#options;
    const watchdog = new Watchdog(sleep, signal);
    watchdog.watch(stallTimeoutMs, "no data", LEAST_BYTES);
    try {
      const found = await watchdog.race(cache.match(url));
      if (found?.body == null) return false;
      const length = found.headers.get("content-length");
      if (length !== null && Number(length) !== destination.length) {
        await found.body.cancel();
        await cache.delete(url);
        return false;
      }
      const copied = await copyBody(found.body as ReadableStream<Uint8Array>, destination, {
        scratch: this.#scratch,
        onProgress: report,
        onChunk: (bytes) => watchdog.beat(bytes),
        signal: watchdog.signal,
      });
      return copied === destination.length;
    } catch {
      throwIfAborted(signal);
      return false;
    } finally {
      watchdog.stop();
    }
  }

  /** Waited for, so that nothing else is written to the destination meanwhile. */
  async #put(cache: CacheLike, bytes: Uint8Array): Promise<void> {
    let at = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (at >= bytes.length) return controller.close();
          // A copy: streams may detach what they are given.
          controller.enqueue(bytes.slice(at, at + CHUNK_BYTES));
          at += CHUNK_BYTES;
        },
      },
      { highWaterMark: 0 },
    );
    const { fixLength = (stream: ReadableStream) => stream } = this.#options;
    const headers = {
      "cache-control": CACHE_CONTROL,
      "content-type": "application/octet-stream",
      "content-length": String(bytes.length),
    };
    const response = new Response(fixLength(body, bytes.length), { headers });
    await cache.put(this.#url, response as never);
  }
}
