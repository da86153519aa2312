/**
 * Releases: each manifest that was ever current is kept beside the shards under its checksum, and manifest.json is a
 * copy of the current one. A reader of a release never sees another pack, whatever manifest.json becomes.
 */
import type { SourceFolder } from "../sources/source.ts";
import { MANIFEST_NAME } from "./manifest.ts";

/** @param checksum the manifest's, 64 hexadecimal digits. */
export function releaseName(checksum: string): string {
  return `releases/${checksum}.json`;
}

/**
 * The pack of one release of a folder; without a checksum, the current one.
 *
 * @example packRelease(r2Source(env.MODELS, env.PACK), env.RELEASE)
 */
export function packRelease(folder: SourceFolder, checksum: string | undefined): SourceFolder {
  if (checksum === undefined || checksum === "") return folder;
  return {
    name: folder.name,
    open: (name, signal, size) =>
      folder.open(name === MANIFEST_NAME ? releaseName(checksum) : name, signal, size),
  };
}
