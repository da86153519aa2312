/** The index beside a sharded model, and the tensors of all its shards. */
import { PronkError } from "../../errors.ts";
import { readAll, type SourceFolder } from "../../sources/source.ts";
import { parseBoundedJson } from "../bounded-json.ts";
import { printable } from "../printable.ts";
import { readSafetensors, type SafetensorsEntry } from "./read-safetensors.ts";

/** Llama 3.1 405B has 191 shards and an index of 100 KB. */
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const MAX_SHARDS = 4096;

/**
 * Reads `model.safetensors.index.json`'s weight_map.
 *
 * @returns by tensor name, the shard's file name.
 * @throws PronkError "bad_format"; as the folder does.
 */
export async function readShardIndex(
  folder: SourceFolder,
  indexName: string,
  signal?: AbortSignal,
): Promise<Map<string, string>> {
  const source = await folder.open(indexName, signal);
  const bad = (why: string, cause?: unknown): PronkError =>
    new PronkError("bad_format", `${source.name}: ${why}`, { cause });
  if (source.size > MAX_INDEX_BYTES) {
    throw bad(`${source.size} bytes, at most ${MAX_INDEX_BYTES}`);
  }
  const index = parseBoundedJson(await readAll(source, signal), bad);
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw bad("weight_map is not an object");
  }
  const entries = Object.entries(map);
  for (const [name, shard] of entries) {
    // A name that leads elsewhere would read files that are not the model's.
    if (typeof shard !== "string" || !/^[\w][\w.-]*$/.test(shard)) {
      throw bad(`weight_map: ${printable(name)}: ${printable(String(shard))} is not a file name`);
    }
  }
  const shards = new Set(entries.map(([, shard]) => shard));
  if (shards.size > MAX_SHARDS) throw bad(`${shards.size} shards, at most ${MAX_SHARDS}`);
  return new Map(entries as [string, string][]);
}

/**
 * The tensors of a model in shards, each where the index says.
 *
 * @throws PronkError "bad_format" when a shard lacks a tensor of the index; as readSafetensors.
 */
export async function readShardedSafetensors(
  folder: SourceFolder,
  indexName: string,
  signal?: AbortSignal,
): Promise<Map<string, SafetensorsEntry>> {
  const index = await readShardIndex(folder, indexName, signal);
  const shards = new Map<string, Map<string, SafetensorsEntry>>();
  for (const shard of new Set(index.values())) {
    shards.set(shard, await readSafetensors(await folder.open(shard, signal), signal));
  }
  const tensors = new Map<string, SafetensorsEntry>();
  for (const [name, shard] of index) {
    const entry = shards.get(shard)?.get(name);
    if (!entry) {
      throw new PronkError(
        "bad_format",
        `${folder.name}: ${indexName}: tensor ${printable(name)} is not in ${shard}`,
      );
    }
    tensors.set(name, entry);
  }
  return tensors;
}
