/** Files, through a handle that the runtime's entry adapts: Node's FileHandle, Deno.FsFile, Bun's. */
import { PronkError, throwIfAborted } from "../errors.ts";
import { checkRead } from "./check-read.ts";
import { reasonOf } from "./failure.ts";
import type { ByteSource } from "./source.ts";

/** An open file that can be read anywhere. */
export interface FileHandle {
  /**
   * Reads bytes from `position` on to the start of `buffer`, at most its length.
   *
   * @returns how many were read; 0 at the end of the file.
   */
  read(buffer: Uint8Array, position: number): Promise<number>;
}

/** A read cannot be aborted, so a large one is made of several. */
const MAX_READ_BYTES = 8 * 1024 * 1024;

/** A file of `size` bytes; its owner closes it. `name` is the path as messages shall show it. */
export function fileSource(handle: FileHandle, name: string, size: number): ByteSource {
  return {
    name,
    size,
    async readInto(destination, start, signal, onProgress) {
      checkRead(this, destination, start, signal);
      if (destination.length === 0) onProgress?.(0);
      for (let at = 0; at < destination.length; ) {
        throwIfAborted(signal);
        const rest = destination.subarray(at, at + MAX_READ_BYTES);
        const read = await handle.read(rest, start + at).catch((error: unknown) => {
          throw new PronkError("source_failed", `${name}: ${reasonOf(error)}`, { cause: error });
        });
        if (read === 0) {
          const found = `ends at byte ${start + at} instead of ${size}: it was changed`;
          throw new PronkError("source_failed", `${name}: ${found}`);
        }
        at += read;
        onProgress?.(at);
      }
    },
  };
}
