/** From one folder to another, every object verified on the way. */

import type { SourceFolder } from "../sources/source.ts";
import { loadBlob, readManifest } from "./loader.ts";
import { MANIFEST_NAME, type Manifest } from "./manifest.ts";
import { manifestChecksum } from "./manifest-check.ts";
import { objectName } from "./shards.ts";
import type { WritableFolder } from "./writable-folder.ts";

export interface CopyPackOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: { readonly copied: number; readonly total: number }) => void;
}

/**
 * The manifest, with its checksum, comes last, so that a folder with a manifest is a whole pack. Memory: one shard.
 *
 * @throws PronkError as readManifest and loadBlob, and what `target` throws.
 */
export async function copyPack(
  folder: SourceFolder,
  target: WritableFolder,
  { signal, onProgress }: CopyPackOptions = {},
): Promise<Manifest> {
  const found = await readManifest(folder, signal);
  const manifest = { ...found, checksum: found.checksum ?? (await manifestChecksum(found)) };
  const objects = [...manifest.shards, ...(manifest.tokenizer ? [manifest.tokenizer] : [])];
  const total = objects.reduce((sum, { bytes }) => sum + bytes, 0);
  let copied = 0;
  for (const object of objects) {
    const name = objectName(object);
    if (!(await target.exists(name, signal))) {
      const bytes = await loadBlob(folder, object, { ...(signal && { signal }) });
      await target.write(name, bytes, signal);
    }
    copied += object.bytes;
    onProgress?.({ copied, total });
  }
  const json = `${JSON.stringify(manifest, null, 1)}\n`;
  await target.write(MANIFEST_NAME, new TextEncoder().encode(json), signal);
  return manifest;
}
