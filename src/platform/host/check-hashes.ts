/** Compares a checkpoint's files with the hashes that its card names. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { PronkError } from "../../errors.ts";
import { isRepositoryPath } from "../../hub/model-reference.ts";
import { MANIFEST_NAME } from "../../pack/manifest.ts";
import { hashFile } from "./file-hash.ts";
import type { Host } from "./host.ts";
import { type OpenModelOptions, openSourceModel } from "./open-model.ts";

/**
 * Of one file, or of a pack's manifest, which has the hashes of all else; else of each file by name.
 *
 * @throws PronkError "corrupt" naming the file; "bad_request" where one hash is given for several files.
 */
export async function checkHashes(
  host: Host,
  checkpoint: string,
  sha256: string | Readonly<Record<string, string>>,
  options: OpenModelOptions,
): Promise<void> {
  const manifest = join(checkpoint, MANIFEST_NAME);
  if (await stat(manifest).catch(() => undefined)) {
    const wanted = typeof sha256 === "string" ? { [MANIFEST_NAME]: sha256 } : sha256;
    return checkFiles(checkpoint, wanted);
  }
  const { input, sha256: found, close } = await openSourceModel(host, checkpoint, options);
  try {
    if (typeof sha256 === "string") {
      if (found === undefined) {
        const what = `${checkpoint}: sha256: it has several files; the card gives each its own`;
        throw new PronkError("bad_request", what, { param: "sha256" });
      }
      compare(checkpoint, found, sha256);
      return;
    }
    if (!("checkpoint" in input)) {
      const what = `${checkpoint}: sha256: a model file has one hash`;
      throw new PronkError("bad_request", what, { param: "sha256" });
    }
    await checkFiles(input.checkpoint.name, sha256);
  } finally {
    await close();
  }
}

async function checkFiles(folder: string, wanted: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, expected] of Object.entries(wanted)) {
    if (!isRepositoryPath(name)) {
      throw new PronkError("bad_request", `sha256: ${JSON.stringify(name)} is no file's name`);
    }
    const path = join(folder, name);
    if (!(await stat(path).catch(() => undefined))) {
      throw new PronkError("not_found", `${path}: no such file, of which the card has a hash`);
    }
    compare(path, (await hashFile(path)).sha256, expected);
  }
}

function compare(path: string, found: string, expected: string): void {
  if (found === expected) return;
  throw new PronkError("corrupt", `${path}: SHA-256 ${found}, the card says ${expected}`);
}
