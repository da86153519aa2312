/**
 * A model's image where it is not one piece of memory: in several, each a slice of it, which together are what is
 * loaded; or where JavaScript cannot reach it, behind a sink.
 */

export interface ImagePiece {
  /** Where it starts in the image. */
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** Takes the image into memory that is not JavaScript's, such as a GPU's. */
export interface ImageSink {
  /**
   * Puts bytes of the image where they belong; they are verified, come in any order and each once, and are valid until
   * the returned promise settles, or the call returns.
   */
  write(offset: number, bytes: Uint8Array): void | Promise<void>;
}

/** Where a loader puts the image: into memory of its size, into pieces of it, or through a sink. */
export type ImageDestination = Uint8Array | readonly ImagePiece[] | ImageSink;

export function isSink(destination: ImageDestination): destination is ImageSink {
  return "write" in destination;
}

/** Puts bytes of the image, from `offset` on, where they belong; those that no piece has are left out. */
export function scatter(pieces: readonly ImagePiece[], offset: number, bytes: Uint8Array): void {
  const end = offset + bytes.length;
  for (const piece of pieces) {
    const from = Math.max(offset, piece.start);
    const to = Math.min(end, piece.start + piece.bytes.length);
    if (from >= to) continue;
    piece.bytes.set(bytes.subarray(from - offset, to - offset), from - piece.start);
  }
}

/** Bytes [start, end) of the image: a view where one piece has them, else a copy. */
export function gather(pieces: readonly ImagePiece[], start: number, end: number): Uint8Array {
  const inside = pieceWith(pieces, start, end);
  if (inside) return inside;
  const bytes = new Uint8Array(end - start);
  for (const piece of pieces) {
    const from = Math.max(start, piece.start);
    const to = Math.min(end, piece.start + piece.bytes.length);
    if (from < to) {
      bytes.set(piece.bytes.subarray(from - piece.start, to - piece.start), from - start);
    }
  }
  return bytes;
}

/** The place of bytes [start, end) where they all lie in one piece. */
export function pieceWith(
  pieces: readonly ImagePiece[],
  start: number,
  end: number,
): Uint8Array | undefined {
  for (const piece of pieces) {
    if (start >= piece.start && end <= piece.start + piece.bytes.length) {
      return piece.bytes.subarray(start - piece.start, end - piece.start);
    }
  }
  return undefined;
}
