/**
 * Releases: each manifest that was ever current is kept beside the shards under its checksum, and manifest.json is a
 * copy of the current one. A reader of a release never sees another pack, whatever manifest.json becomes.
 */
import { PronkError } from "../errors.ts";
import type { SourceFolder } from "../sources/source.ts";
import { checkedFolder } from "./checked-folder.ts";
import { manifestChecksum } from "./manifest-check.ts";

/** @param checksum the manifest's, 64 hexadecimal digits. */
export function releaseName(checksum: string): string {
  return `releases/${checksum}.json`;
}

/**
 * The pack of one release of a folder; without a checksum, the current one. The checksum is a pin: whoever can write to
 * the folder can take a release away, but not make it another.
 *
 * @throws PronkError opening the manifest, "corrupt" when it is not that of the checksum.
 * @example packRelease(r2Source(env.MODELS, env.PACK), env.RELEASE)
 */
export function packRelease(folder: SourceFolder, checksum: string | undefined): SourceFolder {
  if (checksum === undefined || checksum === "") return folder;
  return checkedFolder(folder, releaseName(checksum), async (manifest, where) => {
    const found = await manifestChecksum(manifest);
    if (found === checksum) return;
    throw new PronkError("corrupt", `${where}: its content has the checksum ${found}`);
  });
}
