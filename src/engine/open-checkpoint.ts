/** Opens a checkpoint of floats as a model: its tensors are quantized as they are read. */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { checkpointEntries } from "../checkpoints/checkpoint-entries.ts";
import { checkpointTemplate } from "../checkpoints/companion-files.ts";
import { NO_VOCAB, tokenizerMetadata } from "../checkpoints/tokenizer-metadata.ts";
import type { GgufValue } from "../formats/gguf/write-gguf.ts";
import type { MetadataValue } from "../formats/model-file.ts";
import { tensorBytes } from "../formats/stored-tensor.ts";
import { parseLlamaConfig } from "../model/config.ts";
import type { HeadTensors } from "../model/tensors.ts";
import { compileTokenizer } from "../tokenizers/compile-tokenizer.ts";
import type { GgufOptions } from "./open-gguf.ts";
import type { ManifestFacts } from "./opened-model.ts";
import { cacheFor, type OpenedSource, openPackedSource, slug } from "./packed-source.ts";

/**
 * @param head instead of the language model's; null: none
 * @throws PronkError "bad_format" when the configuration or a tensor's shape is wrong; "unsupported";
 *   "source_failed".
 */
export async function openCheckpoint(
  checkpoint: Checkpoint,
  options: GgufOptions,
  signal?: AbortSignal,
  head?: HeadTensors | null,
): Promise<OpenedSource> {
  const config = parseLlamaConfig(checkpoint.config, `${checkpoint.name}: config.json`);
  return openPackedSource({
    head,
    entries: checkpointEntries(checkpoint, config, options, head),
    facts: await checkpointFacts(checkpoint, options, signal),
    config,
    manifestConfig: checkpoint.config,
    compileTokenizer: (signal) => compileFor(checkpoint, config.vocab_size, signal),
  });
}

/** null without a tokenizer's files. */
async function compileFor(
  checkpoint: Checkpoint,
  vocab: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | null> {
  const metadata = await tokenizerMetadata(checkpoint, vocab, signal);
  if (metadata.get("tokenizer.ggml.model")?.value === NO_VOCAB) return null;
  const values = [...metadata].map(([key, value]): [string, MetadataValue] => [key, plain(value)]);
  return compileTokenizer(new Map(values));
}

/** As a GGUF reader hands it out. */
function plain({ type, value }: GgufValue): MetadataValue {
  if (type === "i32s") return Int32Array.from(value);
  return type === "f32s" ? Float32Array.from(value) : value;
}

/** Ids of config.json that generation needs where generation_config.json lacks them. */
const TOKEN_IDS = ["bos_token_id", "eos_token_id", "pad_token_id"] as const;

async function checkpointFacts(
  checkpoint: Checkpoint,
  options: GgufOptions,
  signal: AbortSignal | undefined,
): Promise<ManifestFacts> {
  const { name, config, tensors, generation_config } = checkpoint;
  const { quantization, profile } = options;
  const ids = TOKEN_IDS.flatMap((field) => (config[field] == null ? [] : [[field, config[field]]]));
  let bytes = 0;
  for (const tensor of tensors.values()) bytes += tensorBytes(tensor);
  const folder = name.split(/[\\/]/).filter(Boolean).at(-1) ?? name;
  return {
    name: options.id ?? slug(folder),
    license: null,
    generation_config: { ...Object.fromEntries(ids), ...generation_config },
    chat_template: await checkpointTemplate(checkpoint, signal),
    quantization: { requested: quantization, profile, kv: cacheFor(quantization, profile) },
    source: { name: folder, bytes, sha256: null },
  };
}
