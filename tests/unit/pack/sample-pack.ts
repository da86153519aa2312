/** A small model's worth of tensors, of every kind, and a pack of them. */

import type { PackEntry } from "../../../src/pack/image-plan.ts";
import type { Manifest } from "../../../src/pack/manifest.ts";
import {
  type ManifestFields,
  type WritePackOptions,
  writePack,
} from "../../../src/pack/write-pack.ts";
import { type MemoryFolder, memoryFolder } from "./memory-folder.ts";
import { bf16Tensor, f32Tensor, randomBlocks, randomWeights, tensorOf } from "./sample-tensors.ts";

/** Reverses the rows, so that no two neighbours stay such in steps of one. */
export function reversed(rows: number): Int32Array {
  return Int32Array.from({ length: rows }, (_, i) => rows - 1 - i);
}

/** 14 tensors with row counts that do not fill panels, an odd vector, and columns not in blocks. */
export function sampleEntries(): PackEntry[] {
  const halves = [0x2c11, 0x9007, 0x1234, 0x2e00];
  const entries: PackEntry[] = [
    {
      name: "model.embed_tokens.weight",
      tensor: tensorOf(
        "token_embd.weight",
        "Q8_0",
        [70, 64],
        randomBlocks("Q8_0", 70 * 64, 1, halves),
      ),
      form: "q6m",
    },
  ];
  for (const layer of [0, 1]) {
    const name = `model.layers.${layer}`;
    const blk = `blk.${layer}`;
    entries.push(
      {
        name: `${name}.input_layernorm.weight`,
        tensor: f32Tensor(`${blk}.attn_norm.weight`, [65], randomWeights(65, 2 + layer)),
        form: "vector",
      },
      {
        name: `${name}.self_attn.q_proj.weight`,
        tensor: tensorOf(
          `${blk}.attn_q.weight`,
          "Q4_1",
          [48, 64],
          randomBlocks("Q4_1", 48 * 64, 4 + layer, halves),
        ),
        form: "q4m",
        rowOrder: reversed(48),
      },
      {
        name: `${name}.self_attn.q_proj.bias`,
        tensor: bf16Tensor(`${blk}.attn_q.bias`, [48], randomWeights(48, 6 + layer)),
        form: "vector",
        rowOrder: reversed(48),
      },
      {
        name: `${name}.self_attn.k_proj.weight`,
        tensor: tensorOf(
          `${blk}.attn_k.weight`,
          "Q4_0",
          [17, 64],
          randomBlocks("Q4_0", 17 * 64, 8 + layer, halves),
        ),
        form: "q4",
      },
      {
        name: `${name}.mlp.up_proj.weight`,
        tensor: f32Tensor(`${blk}.ffn_up.weight`, [33, 40], randomWeights(33 * 40, 10 + layer)),
        form: "f32",
      },
      {
        name: `${name}.mlp.gate_proj.weight`,
        tensor: bf16Tensor(`${blk}.ffn_gate.weight`, [16, 40], randomWeights(16 * 40, 12 + layer)),
        form: "bf16",
        rowOrder: reversed(16),
      },
    );
  }
  entries.push({
    name: "lm_head.weight",
    tensor: f32Tensor("output.weight", [70, 64], randomWeights(70 * 64, 14)),
    form: "q8",
  });
  return entries;
}

export const SAMPLE_FIELDS: ManifestFields = {
  name: "sample-1m",
  license: "Apache-2.0",
  config: { model_type: "llama", hidden_size: 64 },
  generation_config: { eos_token_id: [1, 2] },
  chat_template: "{{ messages }}",
  quantization: { requested: "auto", profile: "default", kv: "int16" },
  source: { name: "sample.gguf", bytes: 12345, sha256: null },
};

export const SAMPLE_TOKENIZER: Uint8Array = Uint8Array.from({ length: 300 }, (_, i) => i * 7);

/** A pack in shards of 4 KiB, about ten. */
export async function samplePack(
  options: Partial<WritePackOptions> = {},
): Promise<{ folder: MemoryFolder; manifest: Manifest }> {
  const folder = memoryFolder("bucket/sample");
  const manifest = await writePack({
    entries: sampleEntries(),
    manifest: SAMPLE_FIELDS,
    tokenizer: SAMPLE_TOKENIZER,
    target: folder,
    shardBytes: 4096,
    ...options,
  });
  return { folder, manifest };
}
