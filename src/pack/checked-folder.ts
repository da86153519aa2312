/**
 * Folders whose manifest has to be more than well-formed before anything else of them is read: signed by somebody who is
 * trusted, or one that is known by its checksum. The bytes that were checked are the bytes that readers get.
 */
import { PronkError } from "../errors.ts";
import { memorySource } from "../sources/memory.ts";
import { readAll, type SourceFolder } from "../sources/source.ts";
import { MANIFEST_NAME, type Manifest } from "./manifest.ts";
import { MAX_MANIFEST_BYTES, parseManifest } from "./manifest-check.ts";
import { objectName } from "./shards.ts";
import { trustedKeys, verifySignature } from "./signature.ts";

/**
 * The pack of a folder, as far as one of the keys has signed it: readers get its manifest when the signature was found
 * right, then what that names, and nothing else. Of what is signed nothing says that it is the newest.
 *
 * @param publicKey `ed25519:...`, as `pronk keygen` prints it, or PEM; or several, of which one has to fit
 * @throws PronkError "bad_request" on a malformed key, or none; opening, "corrupt" for a manifest that is not signed so, and
 *   "not_found" for an object that it does not name.
 * @example pack: (env) => signedPack(r2Source(env.MODELS, env.PACK), "ed25519:...")
 */
export function signedPack(
  folder: SourceFolder,
  publicKey: string | readonly string[],
): SourceFolder {
  const keys = trustedKeys(publicKey);
  const named = new Set<string>();
  const checked = checkedFolder(folder, MANIFEST_NAME, async (manifest, where) => {
    await verifySignature(manifest, keys, where);
    const { shards, tokenizer } = manifest;
    for (const object of [...shards, ...(tokenizer ? [tokenizer] : [])])
      named.add(objectName(object));
  });
  return {
    name: folder.name,
    async open(name, signal, size) {
      if (name === MANIFEST_NAME || named.has(name)) return checked.open(name, signal, size);
      throw new PronkError(
        "not_found",
        `${folder.name}: ${name}: not in the manifest that was signed`,
      );
    },
  };
}

/**
 * @param stored where the manifest is; readers ask for `manifest.json`
 * @param check throws what readers get
 */
export function checkedFolder(
  folder: SourceFolder,
  stored: string,
  check: (manifest: Manifest, where: string) => Promise<void>,
): SourceFolder {
  return {
    name: folder.name,
    async open(name, signal, size) {
      if (name !== MANIFEST_NAME) return folder.open(name, signal, size);
      const source = await folder.open(stored, signal);
      if (source.size > MAX_MANIFEST_BYTES) {
        const found = `${source.size} bytes, at most ${MAX_MANIFEST_BYTES}`;
        throw new PronkError("bad_format", `${folder.name}: ${stored}: ${found}`);
      }
      const bytes = await readAll(source, signal);
      await check(parseManifest(bytes, folder.name), `${folder.name}: ${stored}`);
      return memorySource(bytes, source.name);
    },
  };
}
