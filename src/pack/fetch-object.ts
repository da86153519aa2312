/** Fetches one object of a pack to where it belongs, and verifies it there. */
import { PronkError } from "../errors.ts";
import type { ReadProgress, SourceFolder } from "../sources/source.ts";
import { readVerified } from "../sources/verified.ts";
import type { Digest } from "./digest.ts";
import type { PackedObject } from "./manifest.ts";
import { objectName } from "./shards.ts";

/** A second fetch heals what broke on the way, or in a cache that noticed; more would not. */
const ATTEMPTS = 2;

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
 *   "source_failed"; "aborted".
 */
export async function fetchObject(
  folder: SourceFolder,
  object: PackedObject,
  destination: Uint8Array,
  label: string,
  options: FetchObjectOptions,
): Promise<void> {
  const name = objectName(object);
  for (let attempt = 1; ; attempt++) {
    try {
      const source = await folder.open(name, options.signal, object.bytes);
      return await readVerified(source, object.sha256, destination, options);
    } catch (error) {
      if (!(error instanceof PronkError) || error.code === "aborted") throw error;
      if (error.code === "corrupt" && attempt < ATTEMPTS) continue;
      // Sources name the object, but not what it is to the pack.
      const again = attempt > 1 ? ", also when fetched again" : "";
      throw new PronkError(error.code, `${folder.name}: ${label}: ${error.message}${again}`, {
        cause: error,
      });
    }
  }
}
