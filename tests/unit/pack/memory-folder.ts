/** A folder of objects in memory, to write packs to and load them from. */
import { PronkError } from "../../../src/errors.ts";
import type { WritableFolder } from "../../../src/pack/writable-folder.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";

export interface MemoryFolder extends SourceFolder, WritableFolder {
  readonly objects: Map<string, Uint8Array>;
  /** Names in the order of their writing. */
  readonly written: string[];
}

export function memoryFolder(name: string): MemoryFolder {
  const objects = new Map<string, Uint8Array>();
  const written: string[] = [];
  return {
    name,
    objects,
    written,
    async open(object) {
      const bytes = objects.get(object);
      if (!bytes) throw new PronkError("not_found", `${name}/${object}: no such object`);
      return memorySource(bytes, `${name}/${object}`);
    },
    async exists(object) {
      return objects.has(object);
    },
    async write(object, bytes) {
      objects.set(object, bytes.slice());
      written.push(object);
    },
  };
}
