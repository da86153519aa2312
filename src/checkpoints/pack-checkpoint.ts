/** A pack as a checkpoint: every weight is exactly what the kernels compute with. */
import type { FloatTensor } from "../formats/float-tensor.ts";
import { loadBlob, readManifest } from "../pack/loader.ts";
import type { Manifest } from "../pack/manifest.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { packedFloatTensor, type ReadImage } from "./packed-tensors.ts";
import { templateFile, vocabularyFiles } from "./tokenizer-of-vocabulary.ts";

/**
 * @throws PronkError as readManifest; reading tensors, "corrupt" when a shard differs from its hash.
 */
export async function openPackCheckpoint(
  folder: SourceFolder,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const manifest = await readManifest(folder, signal);
  const image = new PackImage(folder, manifest);
  const read: ReadImage = (start, end, signal) => image.read(start, end, signal);
  const tensors = manifest.tensors.map((tensor): [string, FloatTensor] => [
    tensor.name,
    packedFloatTensor(tensor, read),
  ]);
  const { chat_template: template, tokenizer } = manifest;
  const files = tokenizer
    ? vocabularyFiles((signal) => loadBlob(folder, tokenizer, { signal }), template)
    : new Map(template === null ? [] : [templateFile(template)]);
  return {
    name: folder.name,
    config: manifest.config,
    tensors: new Map(tensors),
    ...(Object.keys(manifest.generation_config).length > 0 && {
      generation_config: manifest.generation_config,
    }),
    ...(files.size > 0 && { files }),
  };
}

/** Ranges of the image; the shard that was read last stays in memory, since tensors are read in order. */
class PackImage {
  readonly #folder: SourceFolder;
  readonly #manifest: Manifest;
  #last: { index: number; bytes: Uint8Array } | undefined;

  constructor(folder: SourceFolder, manifest: Manifest) {
    this.#folder = folder;
    this.#manifest = manifest;
  }

  async read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const out = new Uint8Array(end - start);
    let at = 0;
    for (const [index, object] of this.#manifest.shards.entries()) {
      const from = Math.max(start, at);
      const to = Math.min(end, at + object.bytes);
      if (from < to) {
        if (this.#last?.index !== index) {
          this.#last = { index, bytes: await loadBlob(this.#folder, object, { signal }) };
        }
        out.set(this.#last.bytes.subarray(from - at, to - at), from - start);
      }
      at += object.bytes;
    }
    return out;
  }
}
