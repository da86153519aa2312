/** Pieces of a source, read as one. */
import { checkRead } from "./check-read.ts";
import type { ByteSource } from "./source.ts";

export interface Piece {
  readonly start: number;
  readonly bytes: number;
}

/** The pieces one after the other; the caller checked that they lie within `source`. */
export function joinedSource(source: ByteSource, pieces: readonly Piece[]): ByteSource {
  const size = pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    name: source.name,
    size,
    async readInto(destination, start, signal, onProgress) {
      checkRead(this, destination, start, signal);
      let done = 0;
      let pieceStart = 0;
      for (const piece of pieces) {
        const skipped = Math.max(0, start + done - pieceStart);
        const n = Math.min(destination.length - done, piece.bytes - skipped);
        if (n > 0) {
          const part = destination.subarray(done, done + n);
          const before = done;
          await source.readInto(part, piece.start + skipped, signal, (bytes) => {
            onProgress?.(before + bytes);
          });
          done += n;
        }
        pieceStart += piece.bytes;
      }
    },
  };
}
