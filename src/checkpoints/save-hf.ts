/**
 * Writes a checkpoint as a Hugging Face directory, as transformers' save_pretrained does: the same
 * names, the same split into shards, the same bytes of weights. Tensors are streamed one by one.
 */
import { castTensor } from "../formats/cast-tensor.ts";
import type { FloatTensor, FloatType } from "../formats/float-tensor.ts";
import { type OutputFolder, writeOutput, writeWhole } from "../formats/output-file.ts";
import { writeSafetensors } from "../formats/safetensors/write-safetensors.ts";
import { tensorBytes } from "../formats/stored-tensor.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { HF_DTYPES } from "./dtype.ts";
import {
  CONFIG_NAME,
  GENERATION_CONFIG_NAME,
  SAFETENSORS_INDEX_NAME,
  SAFETENSORS_NAME,
  variantName,
} from "./hf-directory.ts";

/** What transformers calls "5GB". */
const MAX_SHARD_BYTES = 5e9;

export interface SaveOptions {
  /** Of all weights. Default: each keeps its own. */
  readonly dtype?: FloatType;
  /** Bytes of tensors in a shard. Default 5,000,000,000; a larger tensor has a shard of its own. */
  readonly maxShardBytes?: number;
  /** A word in the weights' names: `model.fp16.safetensors`. */
  readonly variant?: string;
  readonly signal?: AbortSignal;
  /** Bytes of weights written, of all. */
  readonly onProgress?: (progress: { readonly written: number; readonly total: number }) => void;
}

/**
 * @returns the names of the files written.
 * @throws PronkError as the checkpoint and the folder do; "unsupported" when a weight is too large for
 *   the dtype; "aborted".
 */
export async function saveHfDirectory(
  checkpoint: Checkpoint,
  folder: OutputFolder,
  options: SaveOptions = {},
): Promise<string[]> {
  const { dtype, maxShardBytes = MAX_SHARD_BYTES, variant, signal, onProgress } = options;
  const weightsName = variantName(SAFETENSORS_NAME, variant);
  const indexName = variantName(SAFETENSORS_INDEX_NAME, variant);
  const tensors = [...checkpoint.tensors.values()]
    .map((tensor) => (dtype ? castTensor(tensor, dtype) : tensor))
    .sort((a, b) => compareNames(a.name, b.name));
  const total = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  let written = 0;
  const onWrite = (bytes: number): void => {
    written += bytes;
    onProgress?.({ written, total });
  };
  const names: string[] = [];
  const write = async (name: string, content: Uint8Array | string): Promise<void> => {
    await writeWhole(folder, name, content, signal);
    names.push(name);
  };

  const shards = splitTensors(tensors, maxShardBytes);
  for (const [i, shard] of shards.entries()) {
    const name = shards.length === 1 ? weightsName : shardName(weightsName, i, shards.length);
    const put = async (file: Parameters<typeof writeSafetensors>[0]): Promise<void> => {
      await writeSafetensors(file, shard, { signal, onWrite });
      // From here to the end there is no whole checkpoint: an older one's configuration would make these weights its own.
      if (i === 0) await folder.remove?.(CONFIG_NAME, signal);
    };
    await writeOutput(folder, name, put, signal);
    names.push(name);
  }
  if (shards.length > 1) await write(indexName, shardIndex(weightsName, shards, total));
  // What an earlier save left under the other name would be taken for this checkpoint's.
  await folder.remove?.(shards.length > 1 ? weightsName : indexName, signal);
  for (const [name, file] of checkpoint.files ?? []) await write(name, await file.read(signal));
  if (checkpoint.generation_config) {
    await write(GENERATION_CONFIG_NAME, toJson(checkpoint.generation_config));
  }
  // Last: a folder with it is a whole checkpoint.
  await write(CONFIG_NAME, toJson(savedConfig(checkpoint, tensors)));
  return names;
}

/** The checkpoint's fields, and those without which transformers would guess. */
function savedConfig(
  { config }: Checkpoint,
  tensors: readonly FloatTensor[],
): Record<string, unknown> {
  const { torch_dtype: _, ...fields } = config;
  const [{ type }] = tensors.length > 0 ? tensors : [{ type: "F32" as const }];
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    ...fields,
    dtype: HF_DTYPES[type],
  };
}

function shardName(weightsName: string, index: number, count: number): string {
  const number = (n: number): string => String(n).padStart(5, "0");
  const suffix = `-${number(index + 1)}-of-${number(count)}.safetensors`;
  return weightsName.replace(/\.safetensors$/, suffix);
}

/** As split_torch_state_dict_into_shards() of huggingface_hub: one that is too large stands alone. */
function splitTensors(tensors: readonly FloatTensor[], maxBytes: number): FloatTensor[][] {
  const shards: FloatTensor[][] = [];
  let shard: FloatTensor[] = [];
  let bytes = 0;
  for (const tensor of tensors) {
    const size = tensorBytes(tensor);
    if (size > maxBytes) {
      shards.push([tensor]);
      continue;
    }
    if (bytes + size > maxBytes) {
      shards.push(shard);
      shard = [];
      bytes = 0;
    }
    shard.push(tensor);
    bytes += size;
  }
  if (shard.length > 0 || shards.length === 0) shards.push(shard);
  return shards;
}

function shardIndex(weightsName: string, shards: readonly FloatTensor[][], total: number): string {
  const map = shards.flatMap((shard, i) =>
    shard.map(({ name }) => [name, shardName(weightsName, i, shards.length)] as const),
  );
  map.sort(([a], [b]) => (a < b ? -1 : 1));
  const parameters = shards
    .flat()
    .reduce((sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1), 0);
  const metadata = { total_parameters: parameters, total_size: total };
  return toJson({ metadata, weight_map: Object.fromEntries(map) });
}

/** As json.dumps(indent=2, sort_keys=True) writes it: fields in order. */
function toJson(value: Readonly<Record<string, unknown>>): string {
  const sorted = Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify(sorted, null, 2)}\n`;
}

/** Where a name stands in the model's state dict, which decides what shares a shard. */
const LAYER_PARTS = [
  "self_attn.q_proj",
  "self_attn.k_proj",
  "self_attn.v_proj",
  "self_attn.o_proj",
  "mlp.gate_proj",
  "mlp.up_proj",
  "mlp.down_proj",
  "input_layernorm",
  "post_attention_layernorm",
];

function compareNames(a: string, b: string): number {
  const left = rank(a);
  const right = rank(b);
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return left[i]! - right[i]!;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Group, layer, part, weight before bias. */
function rank(name: string): number[] {
  const kind = name.endsWith(".bias") ? 1 : 0;
  if (name.includes("embed_tokens.")) return [0, 0, 0, kind];
  const layer = /(?:^|\.)layers\.(\d+)\.(.+)\.(?:weight|bias)$/.exec(name);
  if (layer) return [1, Number(layer[1]), LAYER_PARTS.indexOf(layer[2]!), kind];
  return /(?:^|\.)norm\./.test(name) ? [2, 0, 0, kind] : [3, 0, 0, kind];
}
