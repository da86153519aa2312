/** A model that comes as other files than a pack: packed straight into memory, by the packer's own code. */
import { PronkError } from "../errors.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { HeadTensors } from "../model/tensors.ts";
import { type Digest, sha256 } from "../pack/digest.ts";
import { gather, type ImagePiece, type ImageSink, isSink, scatter } from "../pack/image-pieces.ts";
import { type PackEntry, planImage } from "../pack/image-plan.ts";
import { MAX_SHARD_BYTES } from "../pack/manifest.ts";
import { type PackTensorsOptions, packTensors } from "../pack/packer.ts";
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
  const shardEnds = (): number[] => planShards(image, MAX_SHARD_BYTES);
  /** What went through sinks cannot be read again. */
  const streamed = new WeakMap<ImageSink, readonly string[]>();
  return {
    ...source,
    tensors: image.tensors,
    weightBytes: image.weightBytes,
    async loadWeights(destination, { signal, onProgress, digest } = {}) {
      const options: PackTensorsOptions = {
        signal,
        onProgress: ({ packed, total }) => onProgress?.({ loaded: packed, total }),
      };
      if (isSink(destination)) {
        const shards = new ShardStream(shardEnds(), destination, digest);
        await packTensors(entries, (offset, bytes) => shards.write(offset, bytes), options);
        streamed.set(destination, shards.hashes);
        return;
      }
      const pieces = piecesOf(destination);
      await packTensors(entries, (offset, bytes) => scatter(pieces, offset, bytes), options);
    },
    async loadTokenizer(signal) {
      const compiled = await source.compileTokenizer(signal);
      return compiled ? loadTokenizer(compiled) : undefined;
    },
    async shardHashes(weights) {
      if (isSink(weights)) {
        const hashes = streamed.get(weights);
        if (hashes) return hashes;
        throw new PronkError("bad_request", `${source.facts.name}: nothing was loaded there`);
      }
      const ends = shardEnds();
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

/** Gathers shards from an image that comes in order: each goes on, and its hash is kept. One is in memory at a time. */
class ShardStream {
  readonly hashes: string[] = [];
  readonly #ends: readonly number[];
  readonly #sink: ImageSink;
  readonly #digest: Digest | undefined;
  readonly #shard: Uint8Array;

  constructor(ends: readonly number[], sink: ImageSink, digest: Digest | undefined) {
    this.#ends = ends;
    this.#sink = sink;
    this.#digest = digest;
    this.#shard = new Uint8Array(Math.max(0, ...ends.map((end, i) => end - (ends[i - 1] ?? 0))));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      const start = this.#ends[this.hashes.length - 1] ?? 0;
      const end = this.#ends[this.hashes.length];
      const to = Math.min(bytes.length, end - offset);
      this.#shard.set(bytes.subarray(from, to), offset + from - start);
      from = to;
      if (offset + to === end) await this.#pass(start, this.#shard.subarray(0, end - start));
    }
  }

  async #pass(start: number, shard: Uint8Array): Promise<void> {
    this.hashes.push(await sha256(shard, this.#digest));
    await this.#sink.write(start, shard);
  }
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
