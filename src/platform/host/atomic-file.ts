/** Files that appear whole or not at all, whoever else writes them and whenever the power goes. */
import type { Stats } from "node:fs";
import {
  type FileHandle,
  mkdir,
  open,
  realpath,
  rename,
  stat,
  unlink,
  utimes,
} from "node:fs/promises";
import { dirname } from "node:path";
import { removeAbandoned, temporaryPath } from "./temporary-name.ts";

export interface AtomicFileOptions {
  /** Who may read it; default: as the system's mask has it. */
  readonly mode?: number;
  /** Its time of change, in seconds since 1970; default: now. It has it when it appears. */
  readonly modified?: number;
}

/**
 * Writes a file under a temporary name, syncs it, and renames it. Creates its folder, and removes what killed processes
 * left there. What is no file (a terminal, a pipe) is written to as it is, and behind a link what it leads to.
 */
export async function writeFileAtomically(
  path: string,
  bytes: Uint8Array,
  options: AtomicFileOptions = {},
): Promise<void> {
  const pending = await createPending(path, options);
  try {
    for (let written = 0; written < bytes.length; ) {
      const rest = bytes.length - written;
      written += (await pending.file.write(bytes, written, rest)).bytesWritten;
    }
    await pending.commit();
  } catch (error) {
    await pending.discard();
    throw error;
  }
}

/** A file that does not have its name yet. */
export interface PendingFile {
  readonly file: FileHandle;
  /** Syncs and closes it, and gives it its name. */
  commit(): Promise<void>;
  /** Closes and removes it; also after a commit that failed. */
  discard(): Promise<void>;
}

export async function createPending(
  path: string,
  { mode, modified }: AtomicFileOptions = {},
): Promise<PendingFile> {
  const there = await stat(path).catch(() => undefined);
  if (there !== undefined && isStream(there)) {
    const file = await open(path, "w");
    const close = (): Promise<void> => file.close();
    return { file, commit: close, discard: () => close().catch(() => undefined) };
  }
  const target = there === undefined ? path : await realpath(path);
  const folder = dirname(target);
  await makeFolder(folder);
  await removeAbandoned(folder);
  const temporary = temporaryPath(target);
  const file = await open(temporary, "wx", mode);
  return {
    file,
    async commit() {
      await file.sync();
      await file.close();
      if (modified !== undefined) await utimes(temporary, modified, modified);
      await rename(temporary, target);
      await syncFolder(folder);
    },
    async discard() {
      await file.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined);
    },
  };
}

/** What a rename would replace by a file: as root, /dev/null too. */
function isStream(found: Stats): boolean {
  return found.isFIFO() || found.isCharacterDevice() || found.isBlockDevice() || found.isSocket();
}

/**
 * Creates a folder and those above it, each on disk before what is in it. Not by mkdir's own recursion: on Node that never
 * ends where a system says that what it was to create in is not there, as Linux of /proc.
 */
export async function makeFolder(path: string, mode?: number): Promise<void> {
  if (await isFolder(path)) return;
  const parent = dirname(path);
  try {
    await mkdir(path, mode);
  } catch (error) {
    if (await isFolder(path)) return; // another process was faster
    const { code } = error as { code?: string };
    if (code === "EEXIST") throw notFolder(path);
    if (code !== "ENOENT" || parent === path) throw error;
    await makeFolder(parent, mode);
    await mkdir(path, mode).catch(async (again: unknown) => {
      if (!(await isFolder(path))) throw again;
    });
  }
  await syncFolder(parent);
}

/** As the system has it of a path that leads through a file. */
function notFolder(path: string): Error {
  const error = new Error(`ENOTDIR: not a directory, mkdir '${path}'`);
  return Object.assign(error, { code: "ENOTDIR", syscall: "mkdir", path });
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}

/** Makes a rename survive a power cut; where folders cannot be synced, the next start repairs. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // Not supported by every system: the renamed file is complete either way.
  }
}
