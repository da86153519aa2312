/**
 * A directory as Hugging Face's savePretrained writes it: config.json, weights as safetensors (one
 * file, or shards and an index), generation_config.json and the tokenizer's files.
 */
import { PronkError } from "../errors.ts";
import type { FloatTensor, FloatType } from "../formats/float-tensor.ts";
import { FLOAT_BYTES } from "../formats/float-tensor.ts";
import { printable } from "../formats/printable.ts";
import { readSafetensors, type SafetensorsEntry } from "../formats/safetensors/read-safetensors.ts";
import { readShardedSafetensors } from "../formats/safetensors/read-sharded.ts";
import { storedTensor } from "../formats/stored-tensor.ts";
import type { ByteSource, SourceFolder } from "../sources/source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { companionFiles, openIfPresent, readJson } from "./companion-files.ts";

export const CONFIG_NAME = "config.json";
export const GENERATION_CONFIG_NAME = "generation_config.json";
export const SAFETENSORS_NAME = "model.safetensors";
export const SAFETENSORS_INDEX_NAME = "model.safetensors.index.json";

/** As transformers names a variant's files: `model.fp16.safetensors`. @throws PronkError "bad_request". */
export function variantName(name: string, variant: string | undefined): string {
  if (variant === undefined) return name;
  if (!/^[\w-]+$/.test(variant)) {
    throw new PronkError("bad_request", `variant ${printable(variant)}: not a plain word`, {
      param: "variant",
    });
  }
  const end = name.lastIndexOf(".");
  return `${name.slice(0, end)}.${variant}${name.slice(end)}`;
}

export interface HfDirectoryOptions {
  /** Reads `model.VARIANT.safetensors`, or its shards. */
  readonly variant?: string;
}

/**
 * Opens a Hugging Face directory with safetensors; reads no weight.
 *
 * @throws PronkError "not_found" without config.json or weights; "bad_format"; "unsupported" for
 *   weights that are quantized (GPTQ, AWQ, ...) or of other dtypes; "source_failed"; "aborted".
 */
export function openHfDirectory(
  folder: SourceFolder,
  signal?: AbortSignal,
  { variant }: HfDirectoryOptions = {},
): Promise<Checkpoint> {
  return openConfigured(folder, signal, () => readTensors(folder, variant, signal));
}

/**
 * A directory with config.json, whatever its weights lie in; they are read after the configuration.
 *
 * @throws PronkError "unsupported" when the configuration says that they are quantized.
 */
export async function openConfigured(
  folder: SourceFolder,
  signal: AbortSignal | undefined,
  readWeights: () => Promise<Checkpoint["tensors"]>,
): Promise<Checkpoint> {
  const config = await readJson(await folder.open(CONFIG_NAME, signal), signal);
  refuseQuantized(config, folder.name);
  const tensors = await readWeights();
  const generation = await openIfPresent(folder, GENERATION_CONFIG_NAME, signal);
  return {
    name: folder.name,
    config,
    tensors,
    ...(generation && { generation_config: await readJson(generation, signal) }),
    files: await companionFiles(folder, signal),
  };
}

/** Weights that are stored as the codes of another library's quantization, which do not run. */
function refuseQuantized(config: Readonly<Record<string, unknown>>, where: string): void {
  const quantization = config.quantization_config;
  if (typeof quantization !== "object" || quantization === null) return;
  const method = (quantization as Record<string, unknown>).quant_method;
  throw new PronkError(
    "unsupported",
    `${where}: ${CONFIG_NAME}: quantization_config: weights quantized by ${printable(String(method))}; ` +
      "runs: F32, F16 and BF16 weights, quantized when they are loaded",
  );
}

async function readTensors(
  folder: SourceFolder,
  variant: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Map<string, FloatTensor>> {
  const name = variantName(SAFETENSORS_NAME, variant);
  const indexName = variantName(SAFETENSORS_INDEX_NAME, variant);
  const single = await openIfPresent(folder, name, signal);
  const index = single ?? (await openIfPresent(folder, indexName, signal));
  if (!index) throw new PronkError("not_found", `${folder.name}: neither ${name} nor ${indexName}`);
  return safetensorsCheckpointTensors(
    single
      ? await readSafetensors(single, signal)
      : await readShardedSafetensors(folder, indexName, signal),
  );
}

/**
 * The float tensors of safetensors files. Integer buffers that old versions of transformers saved
 * (position_ids) are left out.
 *
 * @throws PronkError "unsupported" on a weight or bias of another type.
 */
export function safetensorsCheckpointTensors(
  entries: ReadonlyMap<string, SafetensorsEntry>,
): Map<string, FloatTensor> {
  const tensors = new Map<string, FloatTensor>();
  for (const [name, { dtype, shape, source, start }] of entries) {
    if (isFloat(dtype)) tensors.set(name, storedTensor(name, dtype, shape, source, start));
    else if (/(?:weight|bias)$/.test(name)) throw wrongType(source, name, dtype);
  }
  return tensors;
}

function isFloat(dtype: string): dtype is FloatType {
  return Object.hasOwn(FLOAT_BYTES, dtype);
}

function wrongType(source: ByteSource, name: string, dtype: string): PronkError {
  const runs = Object.keys(FLOAT_BYTES).join(", ");
  return new PronkError(
    "unsupported",
    `${source.name}: tensor ${printable(name)}: dtype ${dtype}; runs: ${runs}`,
  );
}
