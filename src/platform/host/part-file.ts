/**
 * A download in progress: `NAME.TAG.HOST-PID-N.part` beside its final place. One process writes one part
 * file, so two processes at once never mix; what a process that ended left behind is taken over,
 * by a rename that only one of several can win.
 */
import { type FileHandle, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { DownloadTarget } from "../../hub/download.ts";
import { makeFolder, syncFolder } from "./atomic-file.ts";
import { onDisk } from "./disk-error.ts";
import { HOST, isAlive, removeAbandoned } from "./temporary-name.ts";

/** A part file untouched for so long is nobody's: live downloads write, or fail, sooner. */
const ABANDONED_MS = 60_000;

/** Behind the tag; older versions did not name the machine. */
const NAMED = /^(?:([0-9a-f]{8})-)?(\d+)-\d+\.part$/;

/** Two downloads of one file in one process need two part files. */
let opened = 0;

export interface PartFile extends DownloadTarget {
  readonly path: string;
  /** Syncs it and gives it its final name. */
  commit(): Promise<void>;
  /** Keeps what there is for a later attempt. */
  release(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Opens a part file for `path`, continuing an abandoned one of the same tag where there is one.
 *
 * @param tag names the content (from its hash or ETag), so that versions never mix.
 * @throws PronkError "source_failed" where the disk refuses; so do its methods.
 */
export function openPartFile(path: string, tag: string): Promise<PartFile> {
  return onDisk(path, () => openPart(path, tag));
}

async function openPart(path: string, tag: string): Promise<PartFile> {
  await makeFolder(dirname(path));
  await removeAbandoned(dirname(path));
  const own = `${path}.${tag}.${HOST}-${process.pid}-${++opened}.part`;
  await takeOver(path, tag, own);
  const file = await openForWriting(own);
  const { size } = await file.stat();
  return {
    path: own,
    size,
    write: (bytes, position) =>
      onDisk(path, async () => {
        let written = 0;
        while (written < bytes.length) {
          const rest = bytes.length - written;
          written += (await file.write(bytes, written, rest, position + written)).bytesWritten;
        }
      }),
    commit: () =>
      onDisk(path, async () => {
        await file.sync();
        await file.close();
        await rename(own, path);
        await syncFolder(dirname(path));
      }),
    async release(): Promise<void> {
      const { size: kept } = await file.stat();
      await file.close();
      if (kept === 0) return unlink(own);
      // Process 0 never lives: the next attempt takes it over at once.
      await rename(own, `${path}.${tag}.${HOST}-0-${process.pid}.part`);
    },
    async discard(): Promise<void> {
      await file.close();
      await unlink(own);
    },
  };
}

/** Positional writes need "r+", which does not create. */
async function openForWriting(path: string): Promise<FileHandle> {
  await (await open(path, "a")).close();
  return open(path, "r+");
}

/** Renames the largest abandoned part file of this content to `own`, if there is one. */
async function takeOver(path: string, tag: string, own: string): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.${tag}.`;
  const parts: { path: string; size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue;
    const [, host = HOST, pid] = NAMED.exec(name.slice(prefix.length)) ?? [];
    if (pid === undefined) continue;
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (!found) continue;
    // Of another machine's process, with which a folder is shared, only the time tells.
    if ((host === HOST && !isAlive(Number(pid))) || Date.now() - found.mtimeMs > ABANDONED_MS) {
      parts.push({ path: join(folder, name), size: found.size });
    }
  }
  parts.sort((a, b) => b.size - a.size);
  let taken = false;
  for (const part of parts) {
    try {
      if (taken) await unlink(part.path);
      else await rename(part.path, own);
      taken = true;
    } catch {
      // Another process was faster; try the next.
    }
  }
}
