/** A bucket in memory that can fail at any write. */

import type { Bucket } from "../../../../src/cli/deploy/bucket.ts";
import { PronkError } from "../../../../src/errors.ts";
import { sha256 } from "../../../../src/pack/digest.ts";
import type { SourceFolder } from "../../../../src/sources/source.ts";
import { memoryFolder } from "../../pack/memory-folder.ts";

export interface MemoryBucket extends Bucket {
  readonly objects: Map<string, Uint8Array>;
  /** Keys in the order of their writing. */
  readonly written: string[];
  /** What a Worker reads from. */
  readonly folder: SourceFolder;
  /** Writes that succeed from now on; the next one fails. */
  left: number;
}

export function memoryBucket(): MemoryBucket {
  const folder = memoryFolder("bucket");
  const { objects, written } = folder;
  return {
    name: "bucket",
    lanes: 3,
    asks: true,
    objects,
    written,
    folder,
    left: Number.POSITIVE_INFINITY,
    async prepare() {},
    async has(key, bytes) {
      return objects.get(key)?.length === bytes;
    },
    async read(key) {
      return objects.get(key)?.slice();
    },
    async write({ key, bytes, sha256: told }) {
      if (this.left-- <= 0) throw new PronkError("source_failed", "bucket: it is gone");
      if ((await sha256(bytes)) !== told) throw new Error(`${key}: its hash is another`);
      objects.set(key, bytes.slice());
      written.push(key);
    },
    keys: async () => [...objects.keys()],
    async remove(key) {
      if (this.left-- <= 0) throw new PronkError("source_failed", "bucket: it is gone");
      objects.delete(key);
    },
  };
}
