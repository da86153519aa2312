/** Fetches one object of a pack to where it belongs, and verifies it there. */
import { PronkError } from "../errors.ts";
import type { ReadProgress, SourceFolder } from "../sources/source.ts";
import { readVerified } from "../sources/verified.ts";
import type { Digest } from "./digest.ts";
import { fetchAgain } from "./fetch-again.ts";
import type { PackedObject } from "./manifest.ts";
import { objectName } from "./shards.ts";

export interface FetchObjectOptions {
  readonly digest?: Digest;
  readonly signal?: AbortSignal;
  /** Starts again when the object is fetched again; verifying begins at the object's size. */
  readonly onProgress?: ReadProgress;
}

/**
 * Fills `destination`, which has the object's size, and compares its SHA-256 with the manifest's.
 * After an error the destination's content is not to be used.
 *
 * @param label what the object is, for messages: "shard 3 of 6"
 * @throws PronkError "corrupt" when the object still differs when fetched again; "not_found";
 *   "source_failed"; "aborted". All but the last name folder, label and object.
 */
export async function fetchObject(
  folder: SourceFolder,
  object: PackedObject,
  destination: Uint8Array,
  label: string,
  options: FetchObjectOptions,
): Promise<void> {
  const name = objectName(object);
  try {
    await fetchAgain(async () => {
      const source = await folder.open(name, options.signal, object.bytes);
      await readVerified(source, object.sha256, destination, options);
    });
  } catch (error) {
    if (!(error instanceof PronkError) || error.code === "aborted") throw error;
    // Sources name the object, but not what it is to the pack.
    throw new PronkError(error.code, `${folder.name}: ${label}: ${error.message}`, {
      cause: error,
    });
  }
}
