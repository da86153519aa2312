/** A Worker's pack, by its options and by what is bound to it. */
import { signedPack } from "../../pack/checked-folder.ts";
import { retryingFolder } from "../../sources/retrying.ts";
import type { SourceFolder } from "../../sources/source.ts";

/**
 * Read with tries enough; and where the variable PRONK_PUBLIC_KEY is bound, only as far as that key, or one of several with
 * commas between, has signed it.
 *
 * @throws PronkError "bad_request" where the variable holds no key.
 */
export function boundPack<Env>(pack: (env: Env) => SourceFolder, env: Env): SourceFolder {
  const folder = retryingFolder(pack(env));
  const { PRONK_PUBLIC_KEY: keys } = (env ?? {}) as { PRONK_PUBLIC_KEY?: unknown };
  return typeof keys === "string" ? signedPack(folder, keys.split(",")) : folder;
}
