/** Fetches one object of a pack to where it belongs, and verifies it there. */
import { PronkError, throwIfAborted } from "../errors.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Digest } from "./digest.ts";
import type { PackedObject } from "./manifest.ts";
import { objectName } from "./shards.ts";

/** A second fetch heals what broke on the way, or in a cache that noticed; more would not. */
const ATTEMPTS = 2;

export interface FetchObjectOptions {
  readonly digest: Digest;
  readonly signal?: AbortSignal;
  /** Bytes in `destination`; starts again when the object is fetched again. */
  readonly onRead?: (bytes: number) => void;
  /** All bytes are there and are about to be verified. */
  readonly onVerify?: () => void;
}

/**
 * Fills `destination`, which has the object's size, and compares its SHA-256 with the manifest's.
 * After an error the destination's content is not to be used.
 *
 * @param label what the object is, for messages: "shard 3 of 6"
 * @throws PronkError "corrupt" when the object still differs when fetched again; "not_found";
 *   "source_failed"; "aborted".
 */
export async function fetchObject(
  folder: SourceFolder,
  object: PackedObject,
  destination: Uint8Array<ArrayBuffer>,
  label: string,
  options: FetchObjectOptions,
): Promise<void> {
  const { digest, signal, onRead, onVerify } = options;
  const name = objectName(object);
  const where = `${folder.name}: ${label} (${name})`;
  let found = "";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const source = await folder.open(name, signal, object.bytes);
      if (source.size !== object.bytes) {
        found = `${source.size} bytes`;
        continue;
      }
      await source.readInto(destination, 0, signal, onRead);
    } catch (error) {
      // Sources name the object, but not what it is to the pack.
      if (!(error instanceof PronkError) || error.code === "aborted") throw error;
      throw new PronkError(error.code, `${where}: ${error.message}`, { cause: error });
    }
    throwIfAborted(signal);
    onVerify?.();
    const hash = await digest(destination);
    throwIfAborted(signal);
    if (hash === object.sha256) return;
    found = `${destination.length} bytes with SHA-256 ${hash}`;
  }
  throw new PronkError(
    "corrupt",
    `${where}: found ${found}, expected ${object.bytes} bytes with SHA-256 ${object.sha256}, fetched ${ATTEMPTS} times`,
  );
}
