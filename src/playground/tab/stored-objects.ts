/**
 * Objects of packs that are kept in this browser, named by their SHA-256: in front of the place that they come from, and
 * as the place that packs are written to.
 *
 * An object's file grows as its bytes arrive, so that what arrived before a tab was closed is not fetched again, and is
 * whole when it has the object's size. What is read here is not trusted more than what comes from elsewhere: who loads
 * it verifies it, and an object that is asked for again was refused, so its file is emptied and filled anew.
 * One tab works on an object at a time; a second one that wants it waits, and finds it.
 */
import { PronkError, throwIfAborted } from "../../errors.ts";
import { MANIFEST_NAME, type PackedObject } from "../../pack/manifest.ts";
import { objectName } from "../../pack/shards.ts";
import type { WritableFolder } from "../../pack/writable-folder.ts";
import { checkRead } from "../../sources/check-read.ts";
import type { ByteSource, SourceFolder } from "../../sources/source.ts";
import type { Locks, StoredFile, StoredFiles } from "./stored-files.ts";

const OBJECT_NAME = /^[0-9a-f]{64}\.bin$/;

/** Of what arrives: lost at most when a tab is closed. */
const WRITE_BYTES = 256 * 1024;

/** Told of bytes that came over the network. */
export type OnFetched = (bytes: number) => void;

export class StoredObjects {
  readonly #files: StoredFiles;
  readonly #locks: Locks;

  constructor(files: StoredFiles, locks: Locks) {
    this.#files = files;
    this.#locks = locks;
  }

  /** Bytes of every object that is here, whole or in part, by its name. */
  sizes(): Promise<ReadonlyMap<string, number>> {
    return this.#files.list();
  }

  /** Of these objects: the bytes that are here. */
  async bytesOf(objects: readonly PackedObject[]): Promise<number> {
    const sizes = await this.sizes();
    const here = (object: PackedObject): number =>
      Math.min(object.bytes, sizes.get(objectName(object)) ?? 0);
    return objects.reduce((sum, object) => sum + here(object), 0);
  }

  async remove(names: Iterable<string>): Promise<void> {
    for (const name of names) {
      await this.#locks.request(lockOf(name), {}, () => this.#files.remove(name));
    }
  }

  /**
   * `folder` with its objects kept here. Keep it for one load: it remembers what it gave.
   *
   * @param onFetched told of what comes from `folder`, not from here
   */
  inFrontOf(folder: SourceFolder, onFetched: OnFetched = () => {}): SourceFolder {
    /** Asked for again, they were not what they should be. */
    const given = new Set<string>();
    return {
      name: folder.name,
      open: async (name, signal, size) => {
        if (size === undefined || !OBJECT_NAME.test(name)) return folder.open(name, signal, size);
        const source = await folder.open(name, signal, size);
        return this.#kept(source, name, given, onFetched);
      },
    };
  }

  /** Where a pack is written. @param writeManifest gets the text of its manifest, the last thing to come */
  target(name: string, writeManifest: (json: string) => Promise<void>): WritableFolder {
    return {
      name,
      // Written again where it was: a damaged one is healed by that.
      exists: async () => false,
      write: async (object, bytes, signal) => {
        throwIfAborted(signal);
        if (object === MANIFEST_NAME) return writeManifest(new TextDecoder().decode(bytes));
        await this.#withFile(object, signal, async (file) => {
          file.truncate(0);
          append(file, bytes, 0, object);
          file.flush();
        });
      },
    };
  }

  #kept(source: ByteSource, name: string, given: Set<string>, onFetched: OnFetched): ByteSource {
    const { size } = source;
    return {
      name: source.name,
      size,
      readInto: async (destination, start, signal, onProgress) => {
        checkRead(source, destination, start, signal);
        // Parts are for who looks into a file, not for who loads it.
        if (start !== 0 || destination.length !== size) {
          return source.readInto(destination, start, signal, onProgress);
        }
        await this.#withFile(name, signal, async (file) => {
          if (given.has(name) || file.getSize() > size) file.truncate(0);
          given.add(name);
          const kept = file.getSize();
          if (file.read(destination.subarray(0, kept), { at: 0 }) !== kept) {
            throw new PronkError("source_failed", `storage: ${name}: could not be read`);
          }
          onProgress?.(kept);
          if (kept === size) return;
          let written = kept;
          const keep = (end: number): void => {
            append(file, destination.subarray(written, end), written, name);
            written = end;
          };
          let arrived = kept;
          try {
            await source.readInto(destination.subarray(kept), kept, signal, (bytes) => {
              onFetched(kept + bytes - arrived);
              arrived = kept + bytes;
              if (arrived - written >= WRITE_BYTES) keep(arrived);
              onProgress?.(arrived);
            });
          } finally {
            // What came before a failure need not come again.
            if (arrived > written) keep(arrived);
            file.flush();
          }
        });
      },
    };
  }

  #withFile<Value>(
    name: string,
    signal: AbortSignal | undefined,
    work: (file: StoredFile) => Promise<Value>,
  ): Promise<Value> {
    throwIfAborted(signal);
    const own = async (): Promise<Value> => {
      const file = await this.#files.open(name);
      try {
        return await work(file);
      } finally {
        file.close();
      }
    };
    return this.#locks.request(lockOf(name), { ...(signal && { signal }) }, own).catch((error) => {
      throwIfAborted(signal);
      throw error;
    });
  }
}

function lockOf(name: string): string {
  return `pronk/${name}`;
}

/** @throws PronkError "source_failed" where the browser has no room left. */
function append(file: StoredFile, bytes: Uint8Array, at: number, name: string): void {
  let written = 0;
  try {
    written = file.write(bytes, { at });
  } catch (cause) {
    throw noRoom(name, bytes.length, cause);
  }
  if (written !== bytes.length) throw noRoom(name, bytes.length - written, undefined);
}

function noRoom(name: string, bytes: number, cause: unknown): PronkError {
  const why =
    cause instanceof Error ? cause.message : "the disk, or what this site may have, is full";
  return new PronkError("source_failed", `storage: ${name}: ${bytes} bytes not kept: ${why}`, {
    cause,
  });
}
