/** Bytes that are in memory already: bundled assets, tests, small downloads. */
import { checkRead } from "./check-read.ts";
import type { ByteSource } from "./source.ts";

/** A source over `bytes`, which it does not copy: do not change them while it is in use. */
export function memorySource(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    size: bytes.length,
    async readInto(destination, start, signal, onProgress) {
      checkRead(this, destination, start, signal);
      destination.set(bytes.subarray(start, start + destination.length));
      onProgress?.(destination.length);
    },
  };
}
