/** A model that comes as other files than a pack: packed straight into memory, by the packer's own code. */
import type { LlamaConfig } from "../model/config.ts";
import type { HeadTensors } from "../model/tensors.ts";
import { sha256 } from "../pack/digest.ts";
import { gather, type ImagePiece, scatter } from "../pack/image-pieces.ts";
import { MAX_SHARD_BYTES } from "../pack/manifest.ts";
import { type PackEntry, packTensors, planImage } from "../pack/packer.ts";
import { planShards } from "../pack/shards.ts";
import { loadTokenizer } from "../tokenizers/load-tokenizer.ts";
import type { ManifestFacts, OpenedModel } from "./opened-model.ts";

export interface PackedSource {
  readonly facts: ManifestFacts;
  readonly config: LlamaConfig;
  /** What a pack's manifest says of the configuration; parsed, it gives `config`. */
  readonly manifestConfig: Readonly<Record<string, unknown>>;
  readonly head?: HeadTensors | null | undefined;
  readonly entries: readonly PackEntry[];
  /** The compiled tokenizer; null when the files have none. */
  compileTokenizer(signal?: AbortSignal): Promise<Uint8Array | null>;
}

/** Such a model can be written as a pack, too. */
export type OpenedSource = OpenedModel & PackedSource;

/** @throws PronkError as planImage. */
export function openPackedSource(source: PackedSource): OpenedSource {
  const { entries } = source;
  const image = planImage(entries);
  return {
    ...source,
    tensors: image.tensors,
    weightBytes: image.weightBytes,
    async loadWeights(destination, { signal, onProgress } = {}) {
      const pieces = piecesOf(destination);
      await packTensors(entries, (offset, bytes) => scatter(pieces, offset, bytes), {
        signal,
        onProgress: ({ packed, total }) => onProgress?.({ loaded: packed, total }),
      });
    },
    async loadTokenizer(signal) {
      const compiled = await source.compileTokenizer(signal);
      return compiled ? loadTokenizer(compiled) : undefined;
    },
    async shardHashes(weights) {
      const ends = planShards(image, MAX_SHARD_BYTES);
      const pieces = piecesOf(weights);
      const hashes: string[] = [];
      for (const [i, end] of ends.entries()) {
        const shard = gather(pieces, ends[i - 1] ?? 0, end);
        hashes.push(await sha256(shard as Uint8Array<ArrayBuffer>));
      }
      return hashes;
    },
  };
}

function piecesOf(image: Uint8Array | readonly ImagePiece[]): readonly ImagePiece[] {
  return image instanceof Uint8Array ? [{ start: 0, bytes: image }] : image;
}

/** What a model is called where nobody says: `SmolLM2 135M Instruct` -> `smollm2-135m-instruct`. */
export function slug(name: string): string {
  const found = name
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return found || "model";
}

/** The KV cache that belongs to a form of the weights. */
export function cacheFor(
  quantization: string,
  profile: "default" | "small",
): ManifestFacts["quantization"]["kv"] {
  if (quantization === "none" || quantization === "f32") return "f32";
  return profile === "small" ? "int8" : "int16";
}
