/**
 * Hugging Face's cache on disk, as huggingface_hub writes and reads it: content once, by its ETag,
 * and for each commit a folder of links to it.
 *
 *   models--OWNER--REPO/refs/main            the commit
 *   models--OWNER--REPO/snapshots/COMMIT/    config.json -> ../../blobs/ETAG
 *   models--OWNER--REPO/blobs/ETAG
 *
 * Source: huggingface_hub/file_download.py (0.36).
 */
import {
  copyFile,
  link,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import { makeFolder, syncFolder, writeFileAtomically } from "./atomic-file.ts";
import type { Environment } from "./cache-folder.ts";
import { removeAbandoned, temporaryPath } from "./temporary-name.ts";

const COMMIT = /^[0-9a-f]{40}$/;

/** Repositories with more are not checkpoints. */
const MAX_SNAPSHOT_FILES = 10_000;

/** HF_HUB_CACHE, or `hub` in HF_HOME; beside our own where PRONK_CACHE is set, else where others have it. */
export function hfCacheFolder(env: Environment): string {
  if (env.HF_HUB_CACHE) return resolve(env.HF_HUB_CACHE);
  if (env.HF_HOME) return resolve(env.HF_HOME, "hub");
  if (env.PRONK_CACHE) return resolve(env.PRONK_CACHE, "huggingface", "hub");
  const xdg = env.XDG_CACHE_HOME;
  const cache = xdg?.startsWith("/") ? xdg : join(homedir(), ".cache");
  return join(cache, "huggingface", "hub");
}

/** HF_HUB_OFFLINE: nothing is asked. */
export function isOffline(env: Environment): boolean {
  return ["1", "true", "yes", "on"].includes((env.HF_HUB_OFFLINE ?? "").toLowerCase());
}

/** One repository's part of the cache. */
export class HfCacheRepository {
  readonly folder: string;
  readonly #symlink: typeof symlink;

  /**
   * @param repo OWNER/REPO, checked: it becomes part of paths.
   * @param makeLink throws where there are no symbolic links, as on Windows without the privilege.
   */
  constructor(cache: string, repo: string, makeLink: typeof symlink = symlink) {
    this.folder = join(cache, `models--${repo.replaceAll("/", "--")}`);
    this.#symlink = makeLink;
  }

  /** @param etag hexadecimal. */
  blobPath(etag: string): string {
    return join(this.folder, "blobs", etag);
  }

  snapshotFolder(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** The commit that a branch or tag had last; a commit is itself. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (COMMIT.test(revision)) return revision;
    const text = await readFile(join(this.folder, "refs", revision), "utf8").catch(() => "");
    const commit = text.trim();
    return COMMIT.test(commit) ? commit : undefined;
  }

  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commitOf(revision)) === commit) return;
    const path = join(this.folder, "refs", revision);
    await writeFileAtomically(path, new TextEncoder().encode(commit));
  }

  /** Names of the files of a commit that are here, whole. */
  async snapshotFiles(commit: string): Promise<string[]> {
    const folder = this.snapshotFolder(commit);
    const found = await readdir(folder, { recursive: true }).catch(() => []);
    const names: string[] = [];
    for (const name of found.slice(0, MAX_SNAPSHOT_FILES)) {
      // Follows the link: one to nothing is no file.
      const file = await stat(join(folder, name)).catch(() => undefined);
      if (file?.isFile()) names.push(name.split(sep).join("/"));
    }
    return names;
  }

  /** @returns the file's path in the commit's folder: a link to the blob, a copy where there are none. */
  async point(commit: string, name: string, etag: string): Promise<string> {
    const path = join(this.snapshotFolder(commit), ...name.split("/"));
    const blob = this.blobPath(etag);
    const folder = dirname(path);
    await makeFolder(folder);
    if (await isSameFile(path, blob)) return path;
    await removeAbandoned(folder);
    // What is in the way is of another version, or broken: readers have it until this one is whole.
    const temporary = temporaryPath(path);
    try {
      await this.#symlink(relative(folder, blob), temporary).catch(() =>
        placeInstead(blob, temporary),
      );
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
    await syncFolder(folder);
    return path;
  }
}

/** Without symbolic links: a hard one, else a copy. */
async function placeInstead(blob: string, path: string): Promise<void> {
  try {
    await link(blob, path);
  } catch {
    await copyFile(blob, path);
    const file = await open(path, "r+");
    await file.sync().finally(() => file.close());
  }
}

async function isSameFile(path: string, blob: string): Promise<boolean> {
  const [one, other] = await Promise.all([
    stat(path).catch(() => undefined),
    stat(blob).catch(() => undefined),
  ]);
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}
