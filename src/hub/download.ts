/**
 * One file by HTTPS into a target that keeps what it has: goes on where an earlier attempt
 * stopped, retries, and gives up on a server that stands still. What arrived is not yet verified.
 */
import { PronkError } from "../errors.ts";
import { bodyChunks } from "./body-chunks.ts";
import { Patience } from "./patience.ts";
import { discard, openRemote, type RemoteOptions, RetryableError, shownUrl } from "./remote.ts";

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
  /** What is kept has this ETag, as answers show it. */
  readonly etag?: string | null;
  /** Whether what arrived will be compared with a hash. Without one, versions are told apart by their headers alone. */
  readonly isVerified?: boolean;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** An attempt that brought so much counts as the first; a server that sends single bytes does not hold us for ever. */
const PROGRESS_BYTES = 64 * 1024;

/**
 * Downloads what the target lacks.
 *
 * @returns the file's length.
 * @throws PronkError "not_found"; "source_failed"; "corrupt" when the file has another length or was replaced in the
 *   middle; "aborted".
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
    version: target.size > 0 && options.etag ? `ETag ${options.etag}` : undefined,
  };
  const patience = new Patience(options);
  for (let best = transfer.position; ; ) {
    try {
      return await attempt(transfer);
    } catch (error) {
      const hasMoved = transfer.position >= best + PROGRESS_BYTES;
      if (hasMoved) best = transfer.position;
      await patience.after(error, hasMoved);
      // What nothing tells from another version is not gone on with.
      if (!options.isVerified && transfer.version === undefined) transfer.position = 0;
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
  /** `ETag …` or `Last-Modified …` of what is in place. */
  version: string | undefined;
}

/** One request, from `position` to the end of the file. */
async function attempt(transfer: Transfer): Promise<number> {
  const { url, where, options } = transfer;
  if (options.bytes !== undefined && transfer.position === options.bytes) return options.bytes;
  const ranged = transfer.position > 0;
  const headers: Record<string, string> = ranged ? { range: `bytes=${transfer.position}-` } : {};
  const response = await openRemote(url, headers, options);
  checkVersion(response, transfer);

  if (response.status === 416) {
    discard(response);
    const total = Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1]);
    if (total === transfer.position) return total;
    // What is kept is longer than the file: of another version. Start over.
    transfer.position = 0;
    throw new RetryableError(`${where}: the partial file does not fit`, { answered: true });
  }
  const total = totalBytes(response, transfer);
  if (options.bytes !== undefined && total !== undefined && total !== options.bytes) {
    discard(response);
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

/** An answer to a range has to be of the version that is in place. */
function checkVersion({ status, headers, body }: Response, transfer: Transfer): void {
  const etag = headers.get("etag");
  const modified = headers.get("last-modified");
  const found = etag ? `ETag ${etag}` : modified ? `Last-Modified ${modified}` : undefined;
  const { version, position, where, options } = transfer;
  const isSame = found === version || (found === undefined && options.isVerified === true);
  // 200 is all of it, so that nothing is mixed.
  if (status !== 200 && position > 0 && version !== undefined && !isSame) {
    body?.cancel().catch(() => undefined);
    const what = `${version} is now ${found}`;
    throw new PronkError("corrupt", `${where}: was changed while it was downloaded: ${what}`);
  }
  if (status === 200 || position === 0) transfer.version = found;
}

function totalBytes(response: Response, transfer: Transfer): number | undefined {
  const encoding = response.headers.get("content-encoding") ?? "identity";
  if (response.status === 200) {
    const length = response.headers.get("content-length");
    // What was compressed on the way has arrived as it was: its length has not.
    return length === null || encoding !== "identity" ? transfer.options.bytes : Number(length);
  }
  if (encoding !== "identity") {
    discard(response);
    const what = `sent compressed (${encoding}), so its bytes cannot be addressed`;
    throw new PronkError("source_failed", `${transfer.where}: ${what}`);
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
  const broken = (): string => `${where}: broken off at ${transfer.position}`;
  for await (const chunk of bodyChunks(response, broken, options)) {
    const room = total === undefined ? chunk.byteLength : total - transfer.position;
    if (chunk.byteLength > room) {
      throw new PronkError("corrupt", `${where}: more than the announced ${total} bytes`);
    }
    await target.write(chunk, transfer.position);
    transfer.position += chunk.byteLength;
    options.onProgress?.({ loaded: transfer.position, total });
  }
}
