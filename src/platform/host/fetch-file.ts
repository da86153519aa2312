/** One file into its place: downloaded with resuming, and named only when its content is the wanted one. */
import { createHash } from "node:crypto";
import { stat, unlink } from "node:fs/promises";
import { PronkError } from "../../errors.ts";
import { type DownloadOptions, type DownloadProgress, download } from "../../hub/download.ts";
import { patiently } from "../../hub/patience.ts";
import { discard, openRemote, shownUrl } from "../../hub/remote.ts";
import type { Environment } from "./cache-folder.ts";
import { hashFile, hashGitBlob } from "./file-hash.ts";
import { openPartFile } from "./part-file.ts";
import type { WheelOptions } from "./wheel.ts";

export interface PullOptions {
  readonly env: Environment;
  readonly fetch: typeof fetch;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
  /** Ask the hub again even when the cache has an answer. */
  readonly refresh?: boolean;
  /** Time limits; defaults are those of the download and of pip. */
  readonly limits?: Pick<DownloadOptions, "connectTimeoutMs" | "stallTimeoutMs" | "backoffMs"> &
    Pick<WheelOptions, "python">;
}

export interface PullProgress extends DownloadProgress {
  readonly phase: "download" | "wheel" | "verify";
  /** The file's name. */
  readonly file: string;
}

export interface PulledFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What is to be downloaded. Without a hash what comes is taken, and its hash remembered. */
export interface WantedFile {
  /** As it is shown while it is loading. */
  readonly name: string;
  readonly path: string;
  readonly url: string;
  readonly bytes: number | undefined;
  readonly sha256: string | null;
  /** The hash that git gives its content, for files that are kept in git itself. */
  readonly gitSha1?: string | null;
  /** The hub's, and for the hub only. */
  readonly token: string | undefined;
}

/**
 * Downloads a file, going on where an earlier attempt stopped; what comes wrong is fetched again from the start, once.
 *
 * @throws PronkError "corrupt" when length or hash are not the wanted ones, also then; as download.
 */
export async function fetchFile(wanted: WantedFile, options: PullOptions): Promise<PulledFile> {
  try {
    return await fetchOnce(wanted, options);
  } catch (error) {
    // A part of an earlier attempt may have been damaged on disk, the file replaced meanwhile, or a bit flipped on the way.
    if (!(error instanceof PronkError) || error.code !== "corrupt") throw error;
    return fetchOnce(wanted, options);
  }
}

async function fetchOnce(wanted: WantedFile, options: PullOptions): Promise<PulledFile> {
  const remote = {
    fetch: options.fetch,
    signal: options.signal,
    token: wanted.token,
    ...options.limits,
  };
  // Content whose hash is unknown is told apart by its ETag; without one nothing is resumed.
  const hash = wanted.sha256 ?? wanted.gitSha1 ?? null;
  const etag = hash === null ? await patiently(() => entityTag(wanted.url, remote), remote) : null;
  const tag = hash ?? etag;
  const part = await openPartFile(wanted.path, shortHash(tag ?? crypto.randomUUID()));
  let keep = false;
  try {
    await download(wanted.url, part, {
      ...remote,
      bytes: wanted.bytes,
      etag,
      isVerified: hash !== null,
      onProgress: (progress) =>
        options.onProgress?.({ phase: "download", file: wanted.name, ...progress }),
    });
    const found = await verify(part.path, wanted, shownUrl(wanted.url), options);
    keep = true;
    await part.commit();
    return { path: wanted.path, ...found };
  } catch (error) {
    const resumable = !(error instanceof PronkError && error.code === "corrupt") && tag !== null;
    if (!keep) await (resumable ? part.release() : part.discard()).catch(() => undefined);
    throw error;
  }
}

async function entityTag(
  url: string,
  options: Parameters<typeof openRemote>[2],
): Promise<string | null> {
  const response = await openRemote(url, {}, options);
  discard(response);
  return response.headers.get("etag");
}

/** @throws PronkError "corrupt" when length or hash are not the wanted ones. */
export async function verify(
  path: string,
  wanted: WantedFile,
  from: string,
  options: PullOptions,
): Promise<{ bytes: number; sha256: string }> {
  const total = wanted.bytes;
  options.onProgress?.({ phase: "verify", file: wanted.name, loaded: total ?? 0, total });
  const found = await hashFile(path);
  if (wanted.bytes !== undefined && found.bytes !== wanted.bytes) {
    throw new PronkError("corrupt", `${from}: ${found.bytes} bytes, expected ${wanted.bytes}`);
  }
  if (wanted.sha256 !== null && found.sha256 !== wanted.sha256) {
    throw new PronkError("corrupt", `${from}: SHA-256 ${found.sha256}, expected ${wanted.sha256}`);
  }
  if (wanted.gitSha1 && wanted.gitSha1 !== (await hashGitBlob(path, found.bytes))) {
    throw new PronkError("corrupt", `${from}: not the content that git has as ${wanted.gitSha1}`);
  }
  return found;
}

/** The file, if it is there with the right length: its hash was checked when it got its name. */
export async function presentFile(wanted: WantedFile): Promise<PulledFile | undefined> {
  if (wanted.sha256 === null || wanted.bytes === undefined) return undefined;
  const found = await stat(wanted.path).catch(() => undefined);
  if (!found) return undefined;
  if (found.size === wanted.bytes) {
    return { path: wanted.path, bytes: wanted.bytes, sha256: wanted.sha256 };
  }
  await unlink(wanted.path);
  return undefined;
}

/** 64 bits tell the files of one cache apart. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
