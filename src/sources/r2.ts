/**
 * Objects of a Cloudflare R2 bucket, by its binding, read by ranges.
 *
 * Every read asks for the version that the first answer had (`onlyIf` its etag), so that an object
 * replaced in mid-load never mixes two models.
 */
import { type ErrorCode, PronkError, throwIfAborted } from "../errors.ts";
import { checkRead } from "./check-read.ts";
import { copyBody, type Scratch } from "./copy-body.ts";
import { passingFailure, reasonOf } from "./failure.ts";
import { objectNameParts } from "./object-name.ts";
import { type Sleep, timerSleep } from "./sleep.ts";
import type { ByteSource, ReadProgress, SourceFolder } from "./source.ts";
import { LEAST_BYTES, Watchdog } from "./watchdog.ts";

/** What is used of `R2Object`; one that `get` returns has no body when `onlyIf` does not hold. */
export interface R2ObjectLike {
  readonly size: number;
  readonly etag: string;
  /** A ReadableStream; Cloudflare's type of it and the platforms' are not assignable. */
  readonly body?: { cancel(reason?: unknown): Promise<void> } | null;
}

/** What is used of `R2Bucket`, so that the core needs no types of Cloudflare's. */
export interface R2BucketLike {
  head(key: string): Promise<R2ObjectLike | null>;
  get(
    key: string,
    options: {
      range: { offset: number; length: number };
      onlyIf?: { etagMatches: string };
    },
  ): Promise<R2ObjectLike | null>;
}

export interface R2Options {
  /** Until R2 answers, and in which a body has to bring 4 KiB, or its end. Default 30 s. */
  readonly stallTimeoutMs?: number;
  /** What the timeout waits with. Default: timers. */
  readonly sleep?: Sleep;
}

export interface R2SourceOptions extends R2Options {
  /**
   * Total bytes, if known: saves the operation that would learn them. An object that turns out to
   * have others is "corrupt".
   */
  readonly size?: number;
  readonly signal?: AbortSignal;
}

const STALL_TIMEOUT_MS = 30_000;

/**
 * Opens an object.
 *
 * @throws PronkError "not_found"; "source_failed", retryable; "aborted". Reading also "corrupt".
 */
export async function r2Source(
  bucket: R2BucketLike,
  key: string,
  options: R2SourceOptions = {},
): Promise<ByteSource> {
  const { signal } = options;
  const name = `r2:${key}`;
  if (options.size !== undefined) {
    return new R2Source(bucket, key, name, { size: options.size, etag: undefined }, options);
  }
  const head = await guarded(name, options, signal, (watchdog) => watchdog.race(bucket.head(key)));
  if (!head) throw missing(name);
  return new R2Source(bucket, key, name, head, options);
}

/** The objects whose keys are this prefix, `/` and a name. An empty prefix is the whole bucket. */
export function r2Folder(
  bucket: R2BucketLike,
  prefix: string,
  options: R2Options = {},
): SourceFolder {
  const folder = prefix.replace(/\/+$/, "");
  return {
    name: `r2:${folder}`,
    async open(name, signal, size) {
      const parts = objectNameParts(this.name, name);
      const key = [...(folder ? [folder] : []), ...parts].join("/");
      return r2Source(bucket, key, { ...options, signal, size });
    },
  };
}

class R2Source implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #bucket: R2BucketLike;
  readonly #key: string;
  readonly #options: R2Options;
  readonly #scratch: Scratch = { idle: undefined };
  /** undefined until the first answer says it. */
  #etag: string | undefined;

  constructor(
    bucket: R2BucketLike,
    key: string,
    name: string,
    version: { size: number; etag: string | undefined },
    options: R2Options,
  ) {
    this.#bucket = bucket;
    this.#key = key;
    this.name = name;
    this.size = version.size;
    this.#etag = version.etag;
    this.#options = options;
  }

  async readInto(
    destination: Uint8Array,
    start: number,
    signal?: AbortSignal,
    onProgress?: ReadProgress,
  ): Promise<void> {
    checkRead(this, destination, start, signal);
    const { name } = this;
    const bytes = destination.length;
    if (bytes === 0) return void onProgress?.(0);

    const arrived = await guarded(name, this.#options, signal, async (watchdog) => {
      const body = await this.#get(start, bytes, watchdog);
      return copyBody(body, destination, {
        scratch: this.#scratch,
        onProgress,
        onChunk: (bytes) => watchdog.beat(bytes),
        signal: watchdog.signal,
      });
    });
    if (arrived < bytes) {
      throw passingFailure(`${name}: the body ended after ${arrived} of ${bytes} bytes`);
    }
  }

  async #get(
    offset: number,
    length: number,
    watchdog: Watchdog,
  ): Promise<ReadableStream<Uint8Array>> {
    const etagMatches = this.#etag;
    const answer = this.#bucket.get(this.#key, {
      range: { offset, length },
      ...(etagMatches !== undefined && { onlyIf: { etagMatches } }),
    });
    const object = await watchdog.race(
      etagMatches === undefined ? answer.catch((error) => this.#explain(error)) : answer,
    );
    if (!object) throw missing(this.name);
    const failed = (what: string, code: ErrorCode = "source_failed") => {
      object.body?.cancel().catch(() => undefined);
      return new PronkError(code, `${this.name}: ${what}`);
    };
    if (etagMatches === undefined && object.size !== this.size) {
      throw failed(otherSize(object.size, this.size), "corrupt");
    }
    this.#etag ??= object.etag;
    if (object.etag !== this.#etag) {
      throw failed(`was changed while it was read: ETag ${this.#etag} is now ${object.etag}`);
    }
    if (object.size !== this.size) {
      throw failed(`has ${object.size} bytes instead of ${this.size}: it was changed`);
    }
    if (!object.body) throw failed("an answer without a body");
    return object.body as ReadableStream<Uint8Array>;
  }

  /** R2 refuses ranges of an object that is too short for them without saying why. */
  async #explain(error: unknown): Promise<never> {
    const head = await this.#bucket.head(this.#key);
    if (!head) throw missing(this.name);
    if (head.size === this.size) throw error;
    throw new PronkError("corrupt", `${this.name}: ${otherSize(head.size, this.size)}`);
  }
}

function otherSize(found: number, told: number): string {
  return `${found} bytes, expected ${told}`;
}

/** Runs work under the timeout; what R2 throws may pass, as its own errors say. */
async function guarded<T>(
  name: string,
  options: R2Options,
  signal: AbortSignal | undefined,
  work: (watchdog: Watchdog) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  const watchdog = new Watchdog(options.sleep ?? timerSleep, signal);
  watchdog.watch(options.stallTimeoutMs ?? STALL_TIMEOUT_MS, "no data", LEAST_BYTES);
  try {
    return await work(watchdog);
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof PronkError) throw error;
    throw passingFailure(`${name}: ${reasonOf(error)}`);
  } finally {
    watchdog.stop();
  }
}

function missing(name: string): PronkError {
  return new PronkError("not_found", `${name}: no such object`);
}
