/** Random access to immutable bytes, wherever they are kept. */
export interface ByteSource {
  /** For error messages: a URL, a path or an object key; never a credential. */
  readonly name: string;
  /** Total bytes. */
  readonly size: number;
  /**
   * Fills `destination` with the bytes from `start` on, without another copy of them.
   *
   * Bytes arrive in order. After a failure what arrived stays in `destination`, and the last call
   * of `onProgress` said how much that is, so that a reader can go on from there.
   *
   * @throws PronkError "source_failed" when storage fails or has fewer bytes; "not_found" when the
   *   object has gone; "aborted".
   */
  readInto(
    destination: Uint8Array,
    start: number,
    signal?: AbortSignal,
    onProgress?: ReadProgress,
  ): Promise<void>;
}

/** Told how many bytes of a destination are in place: ascending, the last time its length. */
export type ReadProgress = (bytes: number) => void;

/** A folder of immutable objects: a directory, a bucket prefix, a base URL. */
export interface SourceFolder {
  /** For error messages; never a credential. */
  readonly name: string;
  /**
   * Opens the object with this name, relative to the folder, with `/` between parts.
   *
   * A caller that knows the object's `size`, from a manifest, saves the request that would learn
   * it: whether the object is there and has this size ("corrupt" otherwise) shows when it is read.
   *
   * @throws PronkError "not_found"; "source_failed"; "aborted"; "bad_request" on a name that leads
   *   out of the folder.
   */
  open(name: string, signal?: AbortSignal, size?: number): Promise<ByteSource>;
}

/** Reads a whole source into new memory; for small ones (headers, manifests). */
export async function readAll(source: ByteSource, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.size);
  await source.readInto(bytes, 0, signal);
  return bytes;
}
