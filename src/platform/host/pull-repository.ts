/**
 * A model of the hub, into the cache that other tools share: the GGUF file that is meant, or all
 * files of a checkpoint. Everything is fetched at one commit and verified by what the hub lists.
 */
import { readFile, realpath, stat, unlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { CheckpointKind } from "../../checkpoints/open-folder.ts";
import { PronkError } from "../../errors.ts";
import {
  chooseFiles,
  DEFAULT_HUB,
  hubFileUrl,
  type ListedFile,
  listRepository,
  type RepositoryListing,
} from "../../hub/model-hub.ts";
import type { ModelReference } from "../../hub/model-reference.ts";
import { patiently } from "../../hub/patience.ts";
import { fileMetadata, RetryableError, shownUrl } from "../../hub/remote.ts";
import {
  checkpointFiles,
  configFiles,
  type RepositoryFiles,
  shardNames,
  TOKENIZER_FILES,
} from "../../hub/repository-files.ts";
import {
  fetchFile,
  type PulledFile,
  type PullOptions,
  presentFile,
  type WantedFile,
} from "./fetch-file.ts";
import { hashFile, hashGitBlob } from "./file-hash.ts";
import { HfCacheRepository, hfCacheFolder, isOffline } from "./hf-cache.ts";

export type HubReference = Extract<ModelReference, { kind: "hub" }>;

/** What of a repository is wanted. */
export type RepositoryPart = "model" | "tokenizer" | "config" | "generation";

/** Which of a repository's files make the model. */
export interface RepositoryChoice {
  /** The folder in which they lie. */
  readonly subfolder?: string | undefined;
  /** Kinds of weights in the order of preference; others are not taken, nor are GGUF files. */
  readonly kinds?: readonly CheckpointKind[] | undefined;
  /** Of safetensors, which are taken alone then. */
  readonly variant?: string | undefined;
}

/** An index names a tensor a line; the largest models' are under 1 MB. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

/**
 * @returns the parts of a GGUF model in order, or the files of a checkpoint, its configuration first;
 *   of a tokenizer, what there is of its files.
 * @throws PronkError "not_found" naming what there is; "source_failed" with the hub's reason;
 *   "corrupt"; "aborted".
 */
export async function pullRepository(
  reference: HubReference,
  options: PullOptions,
  part: RepositoryPart = "model",
  wanted: RepositoryChoice = {},
): Promise<PulledFile[]> {
  const { repo, revision } = reference;
  const { env } = options;
  const cache = new HfCacheRepository(hfCacheFolder(env), repo);
  const where = `hf:${repo}@${revision}`;
  if (isOffline(env)) {
    const files = await fromSnapshot(cache, reference, part, wanted);
    if (files) return files;
    throw new PronkError("source_failed", `${where}: not in the cache, and HF_HUB_OFFLINE is set`);
  }
  const hub = env.HF_ENDPOINT || DEFAULT_HUB;
  const remote = {
    fetch: options.fetch,
    signal: options.signal,
    token: env.HF_TOKEN || undefined,
    ...options.limits,
  };
  let listing: RepositoryListing;
  try {
    listing = await listRepository(hub, repo, revision, { ...remote, attempts: 1 });
  } catch (error) {
    // A hub that cannot be reached, or is down, stops nobody who has the files.
    const files =
      error instanceof RetryableError
        ? await fromSnapshot(cache, reference, part, wanted)
        : undefined;
    if (files) return files;
    if (!(error instanceof RetryableError)) throw error;
    listing = await listRepository(hub, repo, revision, remote);
  }

  const commit = listing.commit ?? (await commitBehind(hub, reference, listing, remote));
  const get = async (name: string): Promise<PulledFile> => {
    const listed = listing.files.get(name);
    if (!listed) throw new PronkError("not_found", `${where}: ${name} is missing`);
    const url = hubFileUrl(hub, repo, commit, name);
    const known = await withHash(listed, url, remote);
    const file: WantedFile = {
      ...{ name, url, token: remote.token },
      path: cache.blobPath(known.etag),
      ...{ bytes: listed.bytes, sha256: known.sha256, gitSha1: known.gitSha1 },
    };
    const found = (await presentBlob(file)) ?? (await fetchFile(file, options));
    return { ...found, path: await cache.point(commit, name, known.etag) };
  };

  const chosen = choose([...listing.files.keys()], reference, part, where, wanted);
  const files: PulledFile[] = [];
  for (const name of chosen.names) files.push(await get(name));
  if (chosen.index !== undefined) {
    const path = join(cache.snapshotFolder(commit), chosen.index);
    for (const name of await readShardNames(path)) files.push(await get(prefixOf(wanted) + name));
  }
  await cache.writeRef(revision, commit);
  return files;
}

/** What the names of a subfolder begin with. */
function prefixOf({ subfolder }: RepositoryChoice): string {
  return subfolder ? `${subfolder.replace(/^\/+|\/+$/g, "")}/` : "";
}

/** @throws PronkError "not_found" naming what there is. */
function choose(
  all: readonly string[],
  reference: HubReference,
  part: RepositoryPart,
  where: string,
  wanted: RepositoryChoice,
): RepositoryFiles {
  const prefix = prefixOf(wanted);
  const inside = all.flatMap((name) =>
    name.startsWith(prefix) ? [name.slice(prefix.length)] : [],
  );
  const { names, index } = chooseInside(
    inside,
    reference,
    part,
    where + (prefix && `/${prefix.slice(0, -1)}`),
    wanted,
  );
  return {
    names: names.map((name) => prefix + name),
    index: index === undefined ? undefined : prefix + index,
  };
}

function chooseInside(
  names: readonly string[],
  { choice }: HubReference,
  part: RepositoryPart,
  where: string,
  { kinds, variant }: RepositoryChoice,
): RepositoryFiles {
  const isConfig = (part === "config" || part === "generation") && choice === undefined;
  const config = isConfig ? configFiles(names, part) : undefined;
  if (config) return config;
  if (part === "tokenizer") {
    const present = TOKENIZER_FILES.filter((name) => names.includes(name));
    if (!present.some((name) => /^tokenizer\.(?:json|model)$/.test(name))) {
      throw new PronkError("not_found", `${where}: has neither tokenizer.json nor tokenizer.model`);
    }
    const config = names.includes("config.json") ? ["config.json"] : [];
    return { names: [...config, ...present], index: undefined };
  }
  const isChosen = kinds !== undefined || variant !== undefined;
  const hasGguf = !isChosen && names.some((name) => name.endsWith(".gguf"));
  const checkpoint =
    choice === undefined && !hasGguf ? checkpointFiles(names, kinds, variant) : undefined;
  if (!checkpoint && isChosen && choice === undefined) {
    const what = variant === undefined ? kinds?.join(", ") : `the variant ${variant}`;
    throw new PronkError("not_found", `${where}: no weights of ${what}`);
  }
  return checkpoint ?? { names: chooseFiles(names, choice, where), index: undefined };
}

/** What the cache alone has of it; undefined unless it is whole. */
async function fromSnapshot(
  cache: HfCacheRepository,
  reference: HubReference,
  part: RepositoryPart,
  wanted: RepositoryChoice,
): Promise<PulledFile[] | undefined> {
  const commit = await cache.commitOf(reference.revision);
  if (commit === undefined) return undefined;
  const present = await cache.snapshotFiles(commit);
  const folder = cache.snapshotFolder(commit);
  try {
    const { names, index } = choose(present, reference, part, folder, wanted);
    const named = index === undefined ? [] : await readShardNames(join(folder, index));
    const shards = named.map((name) => prefixOf(wanted) + name);
    if (!shards.every((name) => present.includes(name))) return undefined;
    const files = await Promise.all(
      [...names, ...shards].map(async (name) => {
        const path = join(folder, ...name.split("/"));
        const found = { path, ...(await hashFile(path)) };
        return (await isWhole(found)) ? found : undefined;
      }),
    );
    return files.some((file) => file === undefined) ? undefined : (files as PulledFile[]);
  } catch (error) {
    if (error instanceof PronkError) return undefined; // nothing here that is meant
    throw error;
  }
}

/** Whether a file of the cache is what its blob's name says; one that is not is removed, to be fetched again. */
async function isWhole({ path, sha256, bytes }: PulledFile): Promise<boolean> {
  const blob = await realpath(path);
  const name = basename(blob);
  // Where there are no links, nothing but the size is known of a copy.
  const found = /^[0-9a-f]{64}$/.test(name)
    ? sha256
    : /^[0-9a-f]{40}$/.test(name)
      ? await hashGitBlob(path, bytes)
      : name;
  if (found === name) return true;
  await unlink(blob).catch(() => undefined);
  return false;
}

async function readShardNames(path: string): Promise<string[]> {
  const { size } = await stat(path);
  if (size > MAX_INDEX_BYTES) throw new PronkError("bad_format", `${path}: ${size} bytes`);
  return shardNames(await readFile(path), path);
}

/** The blob, if it is there whole; a file of git's has its SHA-256 computed, since git names it otherwise. */
async function presentBlob(wanted: WantedFile): Promise<PulledFile | undefined> {
  if (wanted.sha256 !== null) return presentFile(wanted);
  const found = await stat(wanted.path).catch(() => undefined);
  if (found === undefined || found.size !== wanted.bytes) return undefined;
  return { path: wanted.path, ...(await hashFile(wanted.path)) };
}

interface HashedFile {
  /** What the cache names the content by. */
  readonly etag: string;
  readonly sha256: string | null;
  readonly gitSha1: string | null;
}

/** A mirror's listing may have no hashes; then the file's own headers do. */
async function withHash(
  { sha256, gitSha1 }: ListedFile,
  url: string,
  remote: Parameters<typeof fileMetadata>[1],
): Promise<HashedFile> {
  const listed = sha256 ?? gitSha1;
  if (listed !== null) return { etag: listed, sha256, gitSha1 };
  const { etag } = await patiently(() => fileMetadata(url, remote), remote);
  if (etag === undefined || !/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(etag)) {
    throw new PronkError(
      "source_failed",
      `${shownUrl(url)}: neither listing nor headers have a hash`,
    );
  }
  const isSha256 = etag.length === 64;
  return { etag, sha256: isSha256 ? etag : null, gitSha1: isSha256 ? null : etag };
}

async function commitBehind(
  hub: string,
  { repo, revision }: HubReference,
  { files }: RepositoryListing,
  remote: Parameters<typeof fileMetadata>[1],
): Promise<string> {
  const [first] = files.keys();
  const url = hubFileUrl(hub, repo, revision, first ?? "config.json");
  const { commit } = await patiently(() => fileMetadata(url, remote), remote);
  if (commit === undefined)
    throw new PronkError("source_failed", `${shownUrl(url)}: no commit is told`);
  return commit;
}
