/** A tiny model as a pack of a few shards, and what loading it has to give, to the byte. */
import { packModel } from "../../src/engine/pack-model.ts";
import type { Manifest } from "../../src/pack/manifest.ts";
import { randomCheckpoint } from "../support/random-checkpoint.ts";
import { type MemoryFolder, memoryFolder } from "../unit/pack/memory-folder.ts";

const FIELDS = {
  vocab_size: 1256,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
};

export interface StoragePack {
  readonly folder: MemoryFolder;
  readonly manifest: Manifest;
}

/** Of about 200 KB, in shards of 64 KiB. @param seed of its weights */
export function tinyPack(seed = 1): Promise<StoragePack> {
  return packOf(FIELDS, seed, 65_536);
}

/** Of 36 MB, in three shards of the usual 16 MiB at most. */
export function largePack(): Promise<StoragePack> {
  const fields = { ...FIELDS, hidden_size: 1024, intermediate_size: 3072, num_attention_heads: 16 };
  return packOf(fields, 3, 16 * 1024 * 1024);
}

async function packOf(
  fields: Readonly<Record<string, unknown>>,
  seed: number,
  shardBytes: number,
): Promise<StoragePack> {
  const folder = memoryFolder(`tiny-${seed}`);
  const checkpoint = randomCheckpoint(fields, seed, "llama3_tiktoken/hf");
  const manifest = await packModel({ checkpoint }, folder, { shardBytes, id: "tiny" });
  return { folder, manifest };
}
