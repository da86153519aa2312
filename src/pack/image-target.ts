/** Where a loader's shards go: each kind of destination as what to fetch for it, where to read it to and how to put it. */
import { PronkError } from "../errors.ts";
import {
  type ImageDestination,
  type ImagePiece,
  type ImageSink,
  isSink,
  pieceWith,
  scatter,
} from "./image-pieces.ts";
import type { Manifest } from "./manifest.ts";

/** Bytes [start, end) of the image. */
export interface ImageRange {
  readonly start: number;
  readonly end: number;
}

export interface ImageTarget {
  /** What is wanted of the image. */
  readonly ranges: readonly ImageRange[];
  /** Where bytes [start, end) of the image belong, if that is one piece of memory at hand. */
  placeOf(start: number, end: number): Uint8Array | undefined;
  /** Puts these bytes of the image, as far as they are wanted, where they belong. */
  put(start: number, bytes: Uint8Array): void | Promise<void>;
}

/**
 * @param range of the image; default: all. Pieces say it themselves.
 * @throws PronkError "bad_request" when the sizes do not fit.
 */
export function imageTarget(
  destination: ImageDestination,
  range: ImageRange | undefined,
  { weight_bytes }: Manifest,
  name: string,
): ImageTarget {
  const { start, end } = range ?? { start: 0, end: weight_bytes };
  if (isSink(destination)) {
    checkRange({ start, end }, weight_bytes, name);
    return sinkTarget(destination, { start, end });
  }
  if (!(destination instanceof Uint8Array)) {
    for (const piece of destination) checkRange(extentOf(piece), weight_bytes, name);
    return piecesTarget(destination);
  }
  checkRange({ start, end }, weight_bytes, name);
  if (destination.length < end - start) {
    throw new PronkError(
      "bad_request",
      `${name}: ${end - start} bytes of weights into ${destination.length} bytes of memory`,
    );
  }
  return piecesTarget([{ start, bytes: destination.subarray(0, end - start) }]);
}

function piecesTarget(pieces: readonly ImagePiece[]): ImageTarget {
  return {
    ranges: pieces.map(extentOf),
    placeOf: (start, end) => pieceWith(pieces, start, end),
    put: (start, bytes) => scatter(pieces, start, bytes),
  };
}

function sinkTarget(sink: ImageSink, range: ImageRange): ImageTarget {
  return {
    ranges: [range],
    placeOf: () => undefined,
    put(start, bytes) {
      const from = Math.max(start, range.start);
      return sink.write(from, bytes.subarray(from - start, range.end - start));
    },
  };
}

function extentOf({ start, bytes }: ImagePiece): ImageRange {
  return { start, end: start + bytes.length };
}

function checkRange({ start, end }: ImageRange, weightBytes: number, name: string): void {
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (whole && start >= 0 && start <= end && end <= weightBytes) return;
  throw new PronkError(
    "bad_request",
    `${name}: bytes [${start}, ${end}) of an image of ${weightBytes}`,
  );
}
