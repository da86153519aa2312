/** Random access to immutable bytes, wherever they are kept. */
export interface ByteSource {
  /** For error messages: a URL, a path or an object key; never a credential. */
  readonly name: string;
  /** Total bytes. */
  readonly size: number;
  /**
   * Fills `destination` with the bytes from `start` on, without another copy of them.
   *
   * @throws PronkError "source_failed" when storage fails or has fewer bytes; "aborted".
   */
  readInto(destination: Uint8Array, start: number, signal?: AbortSignal): Promise<void>;
}

/** A folder of immutable objects: a directory, a bucket prefix, a base URL. */
export interface SourceFolder {
  /** For error messages; never a credential. */
  readonly name: string;
  /**
   * Opens the object with this name, relative to the folder, with `/` between parts.
   *
   * @throws PronkError "not_found"; "source_failed"; "aborted".
   */
  open(name: string, signal?: AbortSignal): Promise<ByteSource>;
}

/** Reads a whole source into new memory; for small ones (headers, manifests). */
export async function readAll(source: ByteSource, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.size);
  await source.readInto(bytes, 0, signal);
  return bytes;
}
