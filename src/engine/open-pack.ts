/** Opens a pack: its manifest says everything but the weights. */
import { classificationHead } from "../model/classification-head.ts";
import { parseLlamaConfig } from "../model/config.ts";
import { loadBlob, loadWeights, readManifest } from "../pack/loader.ts";
import { MANIFEST_NAME } from "../pack/manifest.ts";
import type { SourceFolder } from "../sources/source.ts";
import { loadTokenizer } from "../tokenizers/load-tokenizer.ts";
import type { OpenedModel } from "./opened-model.ts";

/** @throws PronkError "not_found", "bad_format", "unsupported", "source_failed", "aborted". */
export async function openPack(folder: SourceFolder, signal?: AbortSignal): Promise<OpenedModel> {
  const manifest = await readManifest(folder, signal);
  return {
    facts: manifest,
    config: parseLlamaConfig(manifest.config, `${folder.name}: ${MANIFEST_NAME}: config`),
    head: classificationHead(
      manifest.config,
      (name) => manifest.tensors.find((tensor) => tensor.name === name)?.shape,
    ),
    tensors: manifest.tensors,
    weightBytes: manifest.weight_bytes,
    loadWeights: (destination, options) => loadWeights(folder, manifest, destination, options),
    async loadTokenizer(signal) {
      const { tokenizer } = manifest;
      return tokenizer ? loadTokenizer(await loadBlob(folder, tokenizer, { signal })) : undefined;
    },
    shardHashes: async () => manifest.shards.map(({ sha256 }) => sha256),
  };
}
