/** A model over stages gives the bits of one in one memory: every form, head shape, chunking and company. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import { planLlama } from "../../src/model/plan.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { randomLlama } from "../support/random-llama.ts";
import { staged } from "../support/staged.ts";
import { openTiny } from "../support/tiny-gguf.ts";
import { type CreateRunner, wasm } from "./backends.ts";

const [BUILD] = BUILDS;

function idsOf(vocab: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * 7919 + 13) % vocab);
}

/** Over the logits and arg max of every position; a second sequence is in the batches, and one slot is copied. */
async function hashOf(runner: Runner, tokens: number, chunks: readonly number[]): Promise<string> {
  const hash = createHash("sha256");
  const ids = idsOf(runner.vocab, tokens);
  const other = idsOf(runner.vocab - 3, tokens).map((id) => id + 2);
  let start = 0;
  for (let i = 0; start < tokens; i++) {
    const count = Math.min(chunks[i % chunks.length], tokens - start);
    const rows = Array.from({ length: count }, (_, r) => r);
    await runner.forward({
      ids: [...ids.slice(start, start + count), ...other.slice(start, start + count)],
      spans: [
        { slot: 0, start, count },
        { slot: 1, start, count },
      ],
      logitsRows: [...rows, 2 * count - 1],
    });
    for (const r of [...rows, count]) hash.update(bytesOf(runner.logits(r)));
    hash.update(String([...rows, count].map((r) => runner.argmax(r))));
    start += count;
  }
  runner.copySlot(0, 1, tokens - 1);
  const batch = {
    ids: [ids[tokens - 1]],
    spans: [{ slot: 1, start: tokens - 1, count: 1 }],
    logitsRows: [0],
  };
  await runner.forward(batch);
  hash.update(bytesOf(runner.logits(0)));
  const best = runner.argmax(0);
  await runner.forward({ ...batch, argmax: true });
  expect(runner.argmax(0)).toBe(best);
  await runner.forward({ ...batch, states: true });
  hash.update(bytesOf(runner.states(0)));
  for (let layer = 0; layer < runner.layers; layer++) {
    hash.update(await runner.saveCache(1, layer, tokens));
  }
  return hash.digest("hex");
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

const FILES: [string, "auto" | "none" | "q4s", KvType][] = [
  ["MIX_Q4_1_Q8_0.gguf", "auto", "int16"],
  ["MIX_Q4_K_M.gguf", "auto", "int8"],
  ["Q4_0.gguf", "auto", "int16"],
  ["BF16.gguf", "q4s", "int8"],
  ["BF16.gguf", "none", "bf16"],
];

test.each(FILES)(
  "%s, %s, %s: 2 and 5 stages are one memory, bit by bit",
  async (file, quantization, kv) => {
    const options = { quantization, kv, slots: 2, maxRows: 64, ctx: 64 };
    const one = await hashOf(await openTiny(file, wasm(BUILD), options), 40, [7, 1, 13]);
    for (const count of [2, 5]) {
      const runner = await openTiny(file, staged(BUILD, count), options);
      expect(await hashOf(runner, 40, [7, 1, 13]), `${count} stages`).toBe(one);
    }
  },
);

const SHAPE = {
  model_type: "llama",
  vocab_size: 200,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 5,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  initializer_range: 0.3,
};

const SHAPES: Record<string, Record<string, unknown>> = {
  "grouped heads, tied": { tie_word_embeddings: true },
  "a head of its own": { tie_word_embeddings: false },
  "one K/V head": { num_key_value_heads: 1, tie_word_embeddings: true },
  "as many K/V heads as heads": { num_key_value_heads: 4 },
  "heads of other sizes, with biases": { head_dim: 48, attention_bias: true, mlp_bias: true },
  "one layer": { num_hidden_layers: 1, tie_word_embeddings: true },
  "frequencies that change with the length": {
    rope_scaling: { rope_type: "dynamic", factor: 2 },
    max_position_embeddings: 32,
  },
};

describe.each(Object.entries(SHAPES))("%s", (_, fields) => {
  const open = async (create: CreateRunner, quantization: "q8" | "none"): Promise<Runner> => {
    const checkpoint = randomLlama({ ...SHAPE, ...fields }, 7);
    const model = await openCheckpoint(checkpoint, { quantization, profile: "default" });
    const kv = quantization === "none" ? "f32" : "int16";
    const sizes = { ctx: 64, slots: 2, maxRows: 64, maxLogits: 64, kv } as const;
    return create(planLlama(model.config), model.entries, sizes);
  };

  test.each(["q8", "none"] as const)(
    "%s: any number of stages gives the same bits",
    async (form) => {
      const tokens = 30;
      const one = await hashOf(await open(wasm(BUILD), form), tokens, [4, 1, 9]);
      for (const count of [2, 3, 8]) {
        const runner = await open(staged(BUILD, count), form);
        expect(await hashOf(runner, tokens, [4, 1, 9]), `${count} stages`).toBe(one);
      }
    },
  );
});
