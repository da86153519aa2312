/** Responses as files of a folder: they outlive the server, and servers on one machine may share them. */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ResponseStore } from "../../server/app.ts";
import { makeFolder, writeFileAtomically } from "./atomic-file.ts";
import { onDisk } from "./disk-error.ts";

export interface ResponseFolderOptions {
  /** How many at most; those that end soonest go first. Default 10,000. */
  readonly maxResponses?: number;
  /** Milliseconds since 1970. Default: Date.now. */
  readonly now?: () => number;
}

const MAX_RESPONSES = 10_000;
/** So many writes lie between two looks at the whole folder, which may hold that many too much. */
const SWEEP_EVERY = 256;
const OWNER_ONLY = 0o600;
const FOLDER_MODE = 0o700;

const SUFFIX = ".json";
const ID = /^\w{1,80}$/;

/**
 * Files appear whole or not at all, readable by this user only. A file's time of change is when its
 * response ends.
 *
 * @param path is created with the first response.
 */
export function responseFolder(path: string, options: ResponseFolderOptions = {}): ResponseStore {
  const { maxResponses = MAX_RESPONSES, now = () => Date.now() } = options;
  let writes = 0;
  const fileOf = (id: string): string => {
    if (!ID.test(id)) throw new Error(`response id ${id}: not a file's name`);
    return join(path, id + SUFFIX);
  };

  const sweep = async (): Promise<void> => {
    const kept: { file: string; expiresAt: number }[] = [];
    for (const name of await readdir(path)) {
      if (!name.endsWith(SUFFIX)) continue;
      const file = join(path, name);
      const found = await stat(file).catch(() => undefined); // another server removed it
      if (found === undefined || !found.isFile()) continue;
      if (found.mtimeMs <= now()) await rm(file, { force: true });
      else kept.push({ file, expiresAt: found.mtimeMs });
    }
    kept.sort((a, b) => a.expiresAt - b.expiresAt);
    for (const { file } of kept.slice(0, Math.max(0, kept.length - maxResponses))) {
      await rm(file, { force: true });
    }
  };
  return {
    async get(id) {
      const file = fileOf(id);
      try {
        return await readFile(file, "utf8");
      } catch (error) {
        if ((error as { code?: string }).code === "ENOENT") return undefined;
        throw error;
      }
    },
    async put(id, text, expiresAt) {
      const file = fileOf(id);
      // Only the server's log has this: with its reason, for whoever looks after the disk.
      await onDisk(path, async () => {
        await makeFolder(path, FOLDER_MODE);
        await writeFileAtomically(file, new TextEncoder().encode(text), {
          mode: OWNER_ONLY,
          modified: expiresAt / 1000,
        });
      });
      if (writes++ % SWEEP_EVERY === 0) await sweep();
    },
    async delete(id) {
      await rm(fileOf(id), { force: true });
    },
  };
}
