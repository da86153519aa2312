/** A folder in memory: what one part of a test writes, another reads. */
import { PronkError } from "../../src/errors.ts";
import type { OutputFolder } from "../../src/formats/output-file.ts";
import { memorySource } from "../../src/sources/memory.ts";
import type { SourceFolder } from "../../src/sources/source.ts";

export interface MemoryFolder extends OutputFolder, SourceFolder {
  readonly files: Map<string, Uint8Array>;
  /** The largest single write so far: streams stay small. */
  readonly largestWrite: () => number;
}

export function memoryFolder(): MemoryFolder {
  const files = new Map<string, Uint8Array>();
  let largest = 0;
  return {
    name: "memory",
    files,
    largestWrite: () => largest,
    async open(name) {
      const bytes = files.get(name);
      if (!bytes) throw new PronkError("not_found", `memory/${name}: no such file`);
      return memorySource(bytes, `memory/${name}`);
    },
    async create(name) {
      const parts: Uint8Array[] = [];
      return {
        async write(bytes) {
          largest = Math.max(largest, bytes.length);
          parts.push(bytes.slice());
        },
        async close() {
          files.set(name, new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()));
        },
        async discard() {},
      };
    },
  };
}
