/** A file that was dropped or picked, read where it lies. */
import { PronkError } from "../../errors.ts";
import { checkRead } from "../../sources/check-read.ts";
import type { ByteSource } from "../../sources/source.ts";

/** Larger pieces are no faster, and each is a copy beside the destination. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** Of a file of any size; nothing is read before it is asked for. */
export function fileSource(file: Blob, name: string): ByteSource {
  const { size } = file;
  return {
    name,
    size,
    async readInto(destination, start, signal, onProgress) {
      checkRead(this, destination, start, signal);
      for (let done = 0; done < destination.length; ) {
        signal?.throwIfAborted();
        const end = Math.min(done + PIECE_BYTES, destination.length);
        const piece = await file
          .slice(start + done, start + end)
          .arrayBuffer()
          .catch((cause) => {
            // Browsers refuse a file that was changed or taken away since it was picked.
            throw new PronkError("source_failed", `${name}: ${cause.message}`, { cause });
          });
        destination.set(new Uint8Array(piece), done);
        done = end;
        onProgress?.(done);
      }
    },
  };
}
