/**
 * A checkpoint as Meta distributes Llama: params.json and consolidated.00.pth to consolidated.NN.pth,
 * each with a part of every matrix (model parallelism).
 *
 * wq, wk, wv, w1, w3 and output are split by rows, wo and w2 by columns, the embedding by columns
 * (Llama 1 and 2) or by rows (Llama 3); norms are in every shard. Rows of wq and wk are pairs.
 * Source: llama/model.py of meta-llama/llama; convert_llama_weights_to_hf.py of transformers 4.57.
 */
import { PronkError } from "../errors.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { printable } from "../formats/printable.ts";
import { readTorch, type StateTensor } from "../formats/torch/read-torch.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { companionFiles, openIfPresent, readJson } from "./companion-files.ts";
import { equalTensors } from "./equal-tensors.ts";
import { joinTensors, pairsToHalves } from "./joined-tensor.ts";
import { configFromMeta, type LlamaVersion } from "./meta-config.ts";
import { type KeyMap, renameKeys } from "./renamed.ts";

const META_PARAMS_NAME = "params.json";
export const META_FIRST_SHARD = "consolidated.00.pth";

/** The names have two digits; Llama 3.1 405B has 16 shards at most. */
const MAX_SHARDS = 100;

const KEYS: KeyMap = [
  [/^tok_embeddings\.weight$/, "model.embed_tokens.weight"],
  [/^norm\.weight$/, "model.norm.weight"],
  [/^output\.weight$/, "lm_head.weight"],
  [/^layers\.(\d{1,5})\.attention\.w([qkvo])\.weight$/, "model.layers.$1.self_attn.$2_proj.weight"],
  [/^layers\.(\d{1,5})\.feed_forward\.w1\.weight$/, "model.layers.$1.mlp.gate_proj.weight"],
  [/^layers\.(\d{1,5})\.feed_forward\.w2\.weight$/, "model.layers.$1.mlp.down_proj.weight"],
  [/^layers\.(\d{1,5})\.feed_forward\.w3\.weight$/, "model.layers.$1.mlp.up_proj.weight"],
  [/^layers\.(\d{1,5})\.attention_norm\.weight$/, "model.layers.$1.input_layernorm.weight"],
  [/^layers\.(\d{1,5})\.ffn_norm\.weight$/, "model.layers.$1.post_attention_layernorm.weight"],
];

/** Frequencies of the rotation, which the configuration gives. */
const IGNORED = /(?:^|\.)rope\.freqs$/;

export interface MetaOptions {
  /**
   * What params.json does not say: `max_position_embeddings`, and the rotary factor of Llama 3.2.
   * Default: as `configFromMeta` guesses it.
   */
  readonly llama_version?: LlamaVersion;
}

/**
 * Opens a Meta checkpoint. Shards are counted until a number is missing. Reads no weight, but for Llama
 * 3.2's head, which is left out when it is the embedding.
 *
 * @throws PronkError "not_found" without params.json or shards; "bad_format" when shards disagree;
 *   "unsupported" on tensors that are not Llama's, and on what the pickle asks for; "source_failed".
 */
export async function openMetaDirectory(
  folder: SourceFolder,
  signal?: AbortSignal,
  options: MetaOptions = {},
): Promise<Checkpoint> {
  const params = await readJson(await folder.open(META_PARAMS_NAME, signal), signal);
  const shards = await readShards(folder, signal);
  const keys = renameKeys(shards[0]!.keys(), KEYS, IGNORED, folder.name);
  for (const [i, shard] of shards.entries()) {
    const names = renameKeys(shard.keys(), KEYS, IGNORED, folder.name);
    const other = [...names.keys()].find((name) => !keys.has(name));
    if (names.size === keys.size && other === undefined) continue;
    const what = `shard ${i} has other tensors than shard 0`;
    throw new PronkError("bad_format", `${folder.name}: ${what}`);
  }

  const parts = new Map<string, FloatTensor[]>();
  for (const [name, key] of keys)
    parts.set(
      name,
      shards.map((shard) => shard.get(key)!.open(name)),
    );
  const { config, heads, keyValueHeads, version } = configFromMeta(
    params,
    parts,
    folder.name,
    options.llama_version,
  );
  const tensors = new Map<string, FloatTensor>();
  for (const [name, pieces] of parts) {
    const joined = joinShards(name, pieces, config.hidden_size as number, folder.name);
    const paired = /\.([qk])_proj\.weight$/.exec(name)?.[1];
    const pairs = paired === "q" ? heads : keyValueHeads;
    tensors.set(name, paired === undefined ? joined : pairsToHalves(joined, pairs));
  }
  const files = await companionFiles(folder, signal);
  const tied = version === "3.2" && (await dropTiedHead(tensors, signal));
  const tie_word_embeddings = tied || config.tie_word_embeddings;
  return { name: folder.name, config: { ...config, tie_word_embeddings }, tensors, files };
}

/** Llama 3.2 has one matrix at both ends of the model, and its files have it twice. */
async function dropTiedHead(
  tensors: Map<string, FloatTensor>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const head = tensors.get("lm_head.weight");
  const embedding = tensors.get("model.embed_tokens.weight")!;
  if (head === undefined || !(await equalTensors(head, embedding, signal))) return false;
  return tensors.delete("lm_head.weight");
}

async function readShards(
  folder: SourceFolder,
  signal: AbortSignal | undefined,
): Promise<Map<string, StateTensor>[]> {
  const shards: Map<string, StateTensor>[] = [];
  for (let i = 0; i < MAX_SHARDS; i++) {
    const name = `consolidated.${String(i).padStart(2, "0")}.pth`;
    const source = await openIfPresent(folder, name, signal);
    if (source === undefined) break;
    shards.push(await readTorch(source, signal));
  }
  if (shards.length > 0) return shards;
  throw new PronkError("not_found", `${folder.name}: no ${META_FIRST_SHARD}`);
}

function joinShards(
  name: string,
  parts: readonly FloatTensor[],
  hiddenSize: number,
  where: string,
): FloatTensor {
  const { shape } = parts[0]!;
  if (shape.length === 1) return parts[0]!;
  if (shape.length !== 2) {
    throw new PronkError("bad_format", `${where}: tensor ${printable(name)}: shape [${shape}]`);
  }
  const byColumns =
    /\.(?:o|down)_proj\.weight$/.test(name) ||
    (name === "model.embed_tokens.weight" && shape[1] !== hiddenSize);
  return joinTensors(name, parts, byColumns ? 1 : 0, where);
}
