/**
 * One file by HTTPS into a target that keeps what it has: goes on where an earlier attempt
 * stopped, retries, and gives up on a server that stands still. What arrived is not yet verified.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { reasonOf } from "../sources/failure.ts";
import { openRemote, type RemoteOptions, RetryableError, shownUrl } from "./remote.ts";

/** Where the bytes go. */
export interface DownloadTarget {
  /** Bytes kept from an earlier attempt. */
  readonly size: number;
  write(bytes: Uint8Array, position: number): Promise<void>;
}

export interface DownloadProgress {
  readonly loaded: number;
  /** undefined while the server has not told it. */
  readonly total: number | undefined;
}

export interface DownloadOptions extends RemoteOptions {
  /** The known length; an answer of another length is refused before its body is read. */
  readonly bytes?: number;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Without a byte for so long, the connection is given up. Default 30 s. */
  readonly stallTimeoutMs?: number;
  /** Waiting times between attempts start here and double. Default 500 ms. */
  readonly backoffMs?: number;
}

const STALL_TIMEOUT_MS = 30_000;
const BACKOFF_MS = 500;
const MAX_WAIT_MS = 30_000;

/** Attempts in a row that bring no byte, before giving up. */
const MAX_FUTILE_ATTEMPTS = 5;

/** The same while no server has answered at all: there is another way to get the file. */
const MAX_UNANSWERED_ATTEMPTS = 2;

/**
 * Downloads what the target lacks.
 *
 * @returns the file's length.
 * @throws PronkError "not_found"; "source_failed"; "aborted".
 */
export async function download(
  url: string,
  target: DownloadTarget,
  options: DownloadOptions,
): Promise<number> {
  const transfer: Transfer = {
    url,
    where: shownUrl(url),
    target,
    options,
    position: target.size,
    answered: false,
  };
  for (let futile = 0; ; ) {
    const before = transfer.position;
    try {
      return await attempt(transfer);
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error;
      transfer.answered ||= error.answered;
      futile = transfer.position > before ? 0 : futile + 1;
      if (futile >= (transfer.answered ? MAX_FUTILE_ATTEMPTS : MAX_UNANSWERED_ATTEMPTS)) {
        throw new PronkError("source_failed", error.message, { cause: error });
      }
      const backoff = (options.backoffMs ?? BACKOFF_MS) * 2 ** futile;
      await wait(Math.min(error.retryAfterMs || backoff, MAX_WAIT_MS), options.signal);
    }
  }
}

interface Transfer {
  readonly url: string;
  /** The URL as errors show it. */
  readonly where: string;
  readonly target: DownloadTarget;
  readonly options: DownloadOptions;
  position: number;
  answered: boolean;
}

/** One request, from `position` to the end of the file. */
async function attempt(transfer: Transfer): Promise<number> {
  const { url, where, options } = transfer;
  if (options.bytes !== undefined && transfer.position === options.bytes) return options.bytes;
  const ranged = transfer.position > 0;
  const headers: Record<string, string> = ranged ? { range: `bytes=${transfer.position}-` } : {};
  const response = await openRemote(url, headers, options);
  transfer.answered = true;

  if (response.status === 416) {
    await response.body?.cancel();
    const total = Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1]);
    if (total === transfer.position) return total;
    // What is kept is longer than the file: of another version. Start over.
    transfer.position = 0;
    throw new RetryableError(`${where}: the partial file does not fit`, { answered: true });
  }
  const total = totalBytes(response, transfer);
  if (options.bytes !== undefined && total !== undefined && total !== options.bytes) {
    await response.body?.cancel();
    throw new PronkError("corrupt", `${where}: ${total} bytes, expected ${options.bytes}`);
  }
  // A server without ranges answers 200 with everything.
  if (response.status === 200) transfer.position = 0;
  await copyBody(response, transfer, total);
  if (total !== undefined && transfer.position !== total) {
    throw new RetryableError(`${where}: ended after ${transfer.position} of ${total} bytes`, {
      answered: true,
    });
  }
  return transfer.position;
}

function totalBytes(response: Response, transfer: Transfer): number | undefined {
  if (response.status === 200) {
    const length = response.headers.get("content-length");
    return length === null ? transfer.options.bytes : Number(length);
  }
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  if (!range || Number(range[1]) !== transfer.position) {
    const found = response.headers.get("content-range") ?? "no content-range";
    throw new PronkError(
      "source_failed",
      `${transfer.where}: asked for bytes from ${transfer.position}, got ${found}`,
    );
  }
  return Number(range[2]);
}

async function copyBody(
  response: Response,
  transfer: Transfer,
  total: number | undefined,
): Promise<void> {
  const { where, target, options } = transfer;
  const limitMs = options.stallTimeoutMs ?? STALL_TIMEOUT_MS;
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await readWithin(reader, limitMs, options.signal);
      if (done) return;
      const room = total === undefined ? value.byteLength : total - transfer.position;
      if (value.byteLength > room) {
        throw new PronkError("corrupt", `${where}: more than the announced ${total} bytes`);
      }
      await target.write(value, transfer.position);
      transfer.position += value.byteLength;
      options.onProgress?.({ loaded: transfer.position, total });
    }
  } catch (error) {
    // Not awaited: a broken connection may never settle it.
    reader.cancel().catch(() => undefined);
    if (error instanceof PronkError) throw error;
    throwIfAborted(options.signal);
    throw new RetryableError(`${where}: broken off at ${transfer.position}: ${reasonOf(error)}`, {
      answered: true,
      cause: error,
    });
  }
}

async function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<{ done: boolean; value: Uint8Array }> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort: (() => void) | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no data for ${limitMs / 1000} s`)), limitMs);
    onAbort = () => reject(new PronkError("aborted", "aborted", { cause: signal?.reason }));
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
  });
  try {
    const { done, value } = await Promise.race([reader.read(), limit]);
    return { done, value: value ?? new Uint8Array(0) };
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  }
}

async function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
    if (signal?.aborted) done();
  });
  throwIfAborted(signal);
}
