/**
 * Tries again what may pass: a broken connection, a busy server.
 *
 * Waits grow exponentially, half of each at random so that many clients do not come back at once,
 * and are never shorter than the server asked. A read goes on from the byte that it had reached.
 */
import { PronkError } from "../errors.ts";
import { type Sleep, timerSleep } from "./sleep.ts";
import type { ByteSource, ReadProgress, SourceFolder } from "./source.ts";

export interface RetryOptions {
  /** Tries in all, the first included. Default 5. */
  readonly attempts?: number;
  /** The first wait; it doubles from try to try. Default 200 ms. */
  readonly baseMs?: number;
  /** In [0, 1). Default Math.random. */
  readonly random?: () => number;
  /** Default: timers. */
  readonly sleep?: Sleep;
}

const ATTEMPTS = 5;
const BASE_MS = 200;

/** Longer waits than this are the caller's to decide on; a server that asks for one has failed. */
const MAX_WAIT_MS = 30_000;

/**
 * A try that brought so much counts as the first one: a long read over a bad line comes to its end,
 * and a server that drips single bytes does not hold us for ever.
 */
const PROGRESS_BYTES = 1024 * 1024;

/**
 * The result of `operation`, after several tries if need be.
 *
 * @throws what the last try failed with; at once what no other try can help.
 */
export async function retry<T>(
  operation: () => Promise<T>,
  options: RetryOptions = {},
  signal?: AbortSignal,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await operation();
    } catch (error) {
      await waitBefore(error, failures, options, signal);
    }
  }
}

/** The same bytes, with tries enough to get them. */
export function retrying(source: ByteSource, options: RetryOptions = {}): ByteSource {
  return {
    name: source.name,
    size: source.size,
    readInto: (destination, start, signal, onProgress) =>
      readRetrying(source, options, { destination, start, signal, onProgress }),
  };
}

/** The same objects, both opened and read with tries enough. */
export function retryingFolder(folder: SourceFolder, options: RetryOptions = {}): SourceFolder {
  return {
    name: folder.name,
    async open(name, signal, size) {
      const source = await retry(() => folder.open(name, signal, size), options, signal);
      return retrying(source, options);
    },
  };
}

interface Read {
  readonly destination: Uint8Array;
  readonly start: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ReadProgress | undefined;
}

async function readRetrying(source: ByteSource, options: RetryOptions, read: Read): Promise<void> {
  const { destination, start, signal, onProgress } = read;
  /** Bytes that earlier tries have put in place. */
  let done = 0;
  for (let failures = 1; ; failures++) {
    let arrived = 0;
    try {
      return await source.readInto(destination.subarray(done), start + done, signal, (bytes) => {
        arrived = bytes;
        onProgress?.(done + bytes);
      });
    } catch (error) {
      done += arrived;
      if (arrived >= PROGRESS_BYTES) failures = 1;
      await waitBefore(error, failures, options, signal);
    }
  }
}

/** Waits before the next try, or throws what no further try can help. */
async function waitBefore(
  error: unknown,
  failures: number,
  options: RetryOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  const {
    attempts = ATTEMPTS,
    baseMs = BASE_MS,
    random = Math.random,
    sleep = timerSleep,
  } = options;
  if (!(error instanceof PronkError) || error.retryAfterMs === undefined) throw error;
  const { code, message, retryAfterMs } = error;
  if (failures >= attempts) {
    throw new PronkError(code, `${message} (${failures} tries)`, { cause: error, retryAfterMs });
  }
  if (retryAfterMs > MAX_WAIT_MS) {
    const asked = `asks to wait ${Math.ceil(retryAfterMs / 1000)} s`;
    throw new PronkError(code, `${message}, ${asked}`, { cause: error, retryAfterMs });
  }
  const backoff = Math.min(baseMs * 2 ** (failures - 1), MAX_WAIT_MS);
  await sleep(Math.max(retryAfterMs, (backoff / 2) * (1 + random())), signal);
}
