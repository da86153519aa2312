/** The origin private file system of a worker: files that belong to this site, and stay until they are removed. */
import type { StoredFile, StoredFiles } from "./stored-files.ts";

/** A worker's handle; the type is not in every library of types. */
interface FileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<StoredFile>;
}

/** A tab that was closed a moment ago may hold its handle for a little longer. */
const BUSY_TRIES = 20;
const BUSY_MS = 100;

/** @throws DOMException where the browser gives none: in private windows of some. */
export async function opfsFiles(path: readonly string[]): Promise<StoredFiles> {
  let folder = await navigator.storage.getDirectory();
  for (const name of path) folder = await folder.getDirectoryHandle(name, { create: true });
  return {
    async list() {
      const sizes = new Map<string, number>();
      const entries = folder as unknown as { values(): AsyncIterable<FileSystemHandle> };
      for await (const entry of entries.values()) {
        if (entry.kind !== "file") continue;
        // Another tab may remove it meanwhile.
        const file = await (entry as FileSystemFileHandle).getFile().catch(() => undefined);
        if (file !== undefined) sizes.set(entry.name, file.size);
      }
      return sizes;
    },
    async open(name) {
      const handle = (await folder.getFileHandle(name, { create: true })) as FileHandle;
      for (let tries = 1; ; tries++) {
        try {
          return await handle.createSyncAccessHandle();
        } catch (error) {
          if (tries >= BUSY_TRIES) throw error;
          await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
        }
      }
    },
    async remove(name) {
      await folder.removeEntry(name).catch((error) => {
        if (error?.name !== "NotFoundError") throw error;
      });
    },
  };
}
