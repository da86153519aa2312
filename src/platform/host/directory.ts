/** Directories as folders: read from, and written to atomically. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { PronkError, throwIfAborted } from "../../errors.ts";
import type { WritableFolder } from "../../pack/writable-folder.ts";
import { fileSource } from "../../sources/file.ts";
import { objectNameParts } from "../../sources/object-name.ts";
import type { ByteSource, SourceFolder } from "../../sources/source.ts";
import { writeFileAtomically } from "./atomic-file.ts";
import { onDisk } from "./disk-error.ts";
import { hashFile } from "./file-hash.ts";
import type { Host } from "./host.ts";

/** Files in a directory. Each read opens and closes its file: a load leaves none open. */
export function directoryFolder(host: Pick<Host, "openFile">, path: string): SourceFolder {
  return {
    name: path,
    async open(name, signal): Promise<ByteSource> {
      throwIfAborted(signal);
      const file = join(path, ...objectNameParts(path, name));
      const { size } = await statFile(file);
      return {
        name: file,
        size,
        async readInto(destination, start, readSignal, onProgress): Promise<void> {
          const handle = await openOrThrow(host, file);
          try {
            await fileSource(handle, file, size).readInto(
              destination,
              start,
              readSignal,
              onProgress,
            );
          } finally {
            await handle.close();
          }
        },
      };
    },
  };
}

/** Where packs are written. */
export function directoryTarget(path: string): WritableFolder {
  return {
    name: path,
    async exists(name, signal): Promise<boolean> {
      throwIfAborted(signal);
      const file = join(path, ...objectNameParts(path, name));
      // A shard's name is its hash; one that was damaged on disk is not there.
      const sha256 = /^([0-9a-f]{64})\.bin$/.exec(name)?.[1];
      try {
        return sha256 === undefined
          ? (await stat(file)).isFile()
          : (await hashFile(file)).sha256 === sha256;
      } catch {
        return false;
      }
    },
    async write(name, bytes, signal): Promise<void> {
      throwIfAborted(signal);
      const file = join(path, ...objectNameParts(path, name));
      await onDisk(file, () => writeFileAtomically(file, bytes));
    },
  };
}

/** An open file whose owner closes it. */
export interface OpenSource extends ByteSource {
  close(): Promise<void>;
}

/** @throws PronkError "not_found"; "source_failed". */
export async function openSource(host: Pick<Host, "openFile">, path: string): Promise<OpenSource> {
  const handle = await openOrThrow(host, path);
  return { ...fileSource(handle, path, handle.size), close: () => handle.close() };
}

async function openOrThrow(
  host: Pick<Host, "openFile">,
  path: string,
): ReturnType<Host["openFile"]> {
  try {
    return await host.openFile(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

async function statFile(path: string): Promise<{ size: number }> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new PronkError("not_found", `${path}: not a file`);
    return found;
  } catch (error) {
    throw error instanceof PronkError ? error : fileError(path, error);
  }
}

function fileError(path: string, cause: unknown): PronkError {
  const { code, message, name } = cause as { code?: string; message: string; name: string };
  if (code === "ENOENT" || name === "NotFound") {
    return new PronkError("not_found", `${path}: no such file`, { cause });
  }
  return new PronkError("source_failed", `${path}: ${code ?? message}`, { cause });
}
