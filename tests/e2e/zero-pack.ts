/** A pack of any shape whose weights are all zero, so that its shards are few objects: for plans, not for answers. */
import { createHash } from "node:crypto";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseLlamaConfig } from "../../src/model/config.ts";
import { llamaTensors } from "../../src/model/tensors.ts";
import { alignUp, type WeightForm, weightBytes } from "../../src/pack/forms.ts";
import {
  MANIFEST_NAME,
  MAX_SHARD_BYTES,
  type Manifest,
  type PackedObject,
  type PackedTensor,
} from "../../src/pack/manifest.ts";
import { manifestChecksum } from "../../src/pack/manifest-check.ts";
import { objectName, planShards } from "../../src/pack/shards.ts";
import { manifestOf } from "./faults-pack.ts";

/** Llama 3.2 1B's. */
export const LLAMA_1B: Readonly<Record<string, unknown>> = {
  model_type: "llama",
  vocab_size: 128_256,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 64,
  max_position_embeddings: 131_072,
  rope_theta: 500_000,
  tie_word_embeddings: true,
};

/** @param from a pack whose tokenizer, template and settings it gets. */
export async function writeZeroPack(
  folder: string,
  name: string,
  config: Readonly<Record<string, unknown>>,
  from: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  let offset = 0;
  const tensors = llamaTensors(parseLlamaConfig(config, name)).map(
    ({ name, shape, role }): PackedTensor => {
      const form: WeightForm = role === "vector" ? "vector" : role === "embedding" ? "q6m" : "q4m";
      const tensor = { name, shape, form, offset, bytes: weightBytes(form, shape) };
      offset = alignUp(offset + tensor.bytes);
      return tensor;
    },
  );
  const stored = new Map<number, PackedObject>();
  const store = async (bytes: number): Promise<PackedObject> => {
    const zeros = new Uint8Array(bytes);
    const sha256 = createHash("sha256").update(zeros).digest("hex");
    await writeFile(join(folder, objectName({ sha256 })), zeros);
    return { sha256, bytes };
  };
  const shards: PackedObject[] = [];
  let start = 0;
  for (const end of planShards({ tensors, weightBytes: offset }, MAX_SHARD_BYTES)) {
    const object = stored.get(end - start) ?? (await store(end - start));
    stored.set(end - start, object);
    shards.push(object);
    start = end;
  }
  const { checksum: _, ...given } = await manifestOf(from);
  const tokenizer = objectName(given.tokenizer as PackedObject);
  await copyFile(join(from, tokenizer), join(folder, tokenizer));
  const content: Manifest = { ...given, name, config, tensors, shards, weight_bytes: offset };
  const manifest = { ...content, checksum: await manifestChecksum(content) };
  await writeFile(join(folder, MANIFEST_NAME), JSON.stringify(manifest));
}
