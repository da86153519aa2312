/** Opens a GGUF model: it is packed straight into memory, through the packer's own code. */
import { readGguf } from "../formats/gguf/read-gguf.ts";
import type { MetadataValue, ModelFile } from "../formats/model-file.ts";
import type { LlamaConfig } from "../model/config.ts";
import { readGgufConfig } from "../model/gguf-config.ts";
import { ggufEntries } from "../model/gguf-entries.ts";
import { sha256 } from "../pack/digest.ts";
import type { QuantizationOptions } from "../pack/form-choice.ts";
import { MAX_SHARD_BYTES } from "../pack/manifest.ts";
import { type PackEntry, packTensors, planImage } from "../pack/packer.ts";
import { planShards } from "../pack/shards.ts";
import type { ByteSource } from "../sources/source.ts";
import { compileTokenizer } from "../tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../tokenizers/load-tokenizer.ts";
import type { ManifestFacts, OpenedModel } from "./opened-model.ts";

export interface GgufOptions extends QuantizationOptions {
  /** What to call the model. Default: the file's general.name, as a slug. */
  readonly id?: string;
}

/** An opened GGUF model can be written as a pack, too. */
export interface OpenedGguf extends OpenedModel {
  readonly file: ModelFile;
  readonly entries: readonly PackEntry[];
  /** The compiled tokenizer; null when the file has none. */
  compileTokenizer(): Uint8Array | null;
}

/**
 * @throws PronkError "bad_format", "unsupported" (another architecture or type), "source_failed".
 */
export async function openGguf(
  sources: readonly ByteSource[],
  options: GgufOptions,
  signal?: AbortSignal,
): Promise<OpenedGguf> {
  const file = await readGguf(sources, signal);
  const config = await readGgufConfig(file, signal);
  const entries = ggufEntries(file, config, options);
  const image = planImage(entries);
  const compile = (): Uint8Array | null =>
    hasTokenizer(file) ? compileTokenizer(file.metadata) : null;
  return {
    file,
    entries,
    facts: ggufFacts(file, config, sources, options),
    config,
    tensors: image.tensors,
    weightBytes: image.weightBytes,
    async loadWeights(destination, { signal, onProgress } = {}) {
      await packTensors(entries, (offset, bytes) => destination.set(bytes, offset), {
        signal,
        onProgress: ({ packed, total }) => onProgress?.({ loaded: packed, total }),
      });
    },
    async loadTokenizer() {
      const compiled = compile();
      return compiled ? loadTokenizer(compiled) : undefined;
    },
    compileTokenizer: compile,
    async shardHashes(weights) {
      const ends = planShards(image, MAX_SHARD_BYTES);
      const hashes: string[] = [];
      for (const [i, end] of ends.entries()) {
        const shard = weights.subarray(ends[i - 1] ?? 0, end);
        hashes.push(await sha256(shard as Uint8Array<ArrayBuffer>));
      }
      return hashes;
    },
  };
}

/** llama.cpp writes `no_vocab` into models that come without one; older files said `none`. */
function hasTokenizer({ metadata }: ModelFile): boolean {
  const kind = metadata.get("tokenizer.ggml.model");
  return kind !== undefined && kind !== "no_vocab" && kind !== "none";
}

function ggufFacts(
  { metadata, name }: ModelFile,
  config: LlamaConfig,
  sources: readonly ByteSource[],
  options: GgufOptions,
): ManifestFacts {
  const { quantization, profile } = options;
  const text = (key: string): string | null => {
    const value = metadata.get(key);
    return typeof value === "string" ? value : null;
  };
  const ids = ["bos", "eos", "unknown", "padding"].flatMap((kind) => {
    const id: MetadataValue | undefined = metadata.get(`tokenizer.ggml.${kind}_token_id`);
    const field = { unknown: "unk", padding: "pad" }[kind] ?? kind;
    return typeof id === "number" && id < config.vocab_size ? [[`${field}_token_id`, id]] : [];
  });
  const fileName = name.split(/[\\/]/).at(-1) ?? name;
  const isFloat = quantization === "none" || quantization === "f32";
  return {
    name: options.id ?? slug(text("general.name") ?? fileName.replace(/\.gguf$/i, "")),
    license: text("general.license"),
    generation_config: Object.fromEntries(ids),
    chat_template: text("tokenizer.chat_template"),
    quantization: {
      requested: quantization,
      profile,
      kv: isFloat ? "f32" : profile === "small" ? "int8" : "int16",
    },
    source: {
      name: fileName,
      bytes: sources.reduce((sum, { size }) => sum + size, 0),
      sha256: null,
    },
  };
}

/** `SmolLM2 135M Instruct` -> `smollm2-135m-instruct`. */
function slug(name: string): string {
  const found = name
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return found || "model";
}
