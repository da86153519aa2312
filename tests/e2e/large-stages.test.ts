/** A model of more than wasm32 can address, over stages of one process. Its weights are one shard, again and again. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { freemem } from "node:os";
import { expect, test } from "vitest";
import { planModel } from "../../src/engine/load-model.ts";
import { packModel } from "../../src/engine/pack-model.ts";
import { parseLlamaConfig } from "../../src/model/config.ts";
import { llamaTensors } from "../../src/model/tensors.ts";
import { alignUp, weightBytes } from "../../src/pack/forms.ts";
import { MANIFEST_NAME, MAX_SHARD_BYTES, type PackedTensor } from "../../src/pack/manifest.ts";
import { objectName } from "../../src/pack/shards.ts";
import { createEngine } from "../../src/platform/node/index.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { readAll, type SourceFolder } from "../../src/sources/source.ts";
import { memoryFolder } from "../unit/pack/memory-folder.ts";

const GIB = 2 ** 30;
/** What it takes, and what the machine has to have besides. */
const NEEDED_BYTES = 6.5 * GIB;

/** Six layers of Llama 3 8B's shape in f32, with a small vocabulary. */
const SHAPE = {
  hidden_size: 4096,
  intermediate_size: 11_264,
  num_hidden_layers: 6,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
};

async function largePack(): Promise<SourceFolder> {
  const path = "tests/goldens/tokenizers/tok_bpe.gguf";
  const small = memoryFolder("large");
  const gguf = [memorySource(new Uint8Array(readFileSync(path)), path)];
  const manifest = await packModel({ gguf }, small, {});
  const config = { ...manifest.config, ...SHAPE };
  let weight_bytes = 0;
  const tensors = llamaTensors(parseLlamaConfig(config, "large")).map(
    ({ name, shape, role }): PackedTensor => {
      const form = role === "vector" ? "vector" : "f32";
      const bytes = weightBytes(form, shape);
      const offset = weight_bytes;
      weight_bytes = alignUp(offset + bytes);
      return { name, form, shape, offset, bytes };
    },
  );
  const values = new Float32Array(MAX_SHARD_BYTES / 4);
  let state = 1;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    values[i] = state / 2 ** 36;
  }
  const objects = new Map<string, Uint8Array>();
  const shard = (bytes: number): { sha256: string; bytes: number } => {
    const slice = new Uint8Array(values.buffer, 0, bytes);
    const object = { sha256: createHash("sha256").update(slice).digest("hex"), bytes };
    objects.set(objectName(object), slice);
    return object;
  };
  const whole = shard(MAX_SHARD_BYTES);
  const count = Math.floor(weight_bytes / MAX_SHARD_BYTES);
  const shards = [
    ...new Array<typeof whole>(count).fill(whole),
    shard(weight_bytes - count * MAX_SHARD_BYTES),
  ];
  const { checksum: _, ...facts } = manifest;
  const large = { ...facts, config, weight_bytes, tensors, shards };
  objects.set(MANIFEST_NAME, new TextEncoder().encode(JSON.stringify(large)));
  if (manifest.tokenizer) {
    const name = objectName(manifest.tokenizer);
    objects.set(name, await readAll(await small.open(name)));
  }
  return {
    name: "large",
    open: async (name) => memorySource(objects.get(name) as Uint8Array, name),
  };
}

test.skipIf(freemem() < NEEDED_BYTES)(
  "a model of more than 4 GiB answers, over stages that nobody asked for",
  { timeout: 280_000 },
  async () => {
    const pack = await largePack();
    const planned = await planModel({ pack }, { ctx: 64, slots: 1, chunk: 16, kv: "int16" });
    expect(planned.memory.weights).toBeGreaterThan(4 * GIB);
    expect(planned.stages?.stages.length).toBeGreaterThan(1);
    const engine = await createEngine({ pack }, { ctx: 64, slots: 1, chunk: 16, kv: "int16" });
    try {
      expect(engine.info.stages).toBe(planned.stages?.stages.length);
      const request = { prompt_ids: [5, 9, 2, 7], max_tokens: 3, top_logprobs: 1, seed: 1 };
      const { ids, logprobs } = await engine.generate(request);
      expect(ids).toHaveLength(3);
      expect(logprobs?.every(({ logprob }) => Number.isFinite(logprob) && logprob < 0)).toBe(true);
      expect((await engine.generate(request)).ids).toEqual(ids);
    } finally {
      await engine.dispose();
    }
  },
);
