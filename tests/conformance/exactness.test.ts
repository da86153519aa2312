import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { openTiny } from "../support/tiny-gguf.ts";
import { wasm } from "./backends.ts";

const VOCAB = 192;
const prompt = Array.from({ length: 90 }, (_, i) => (i * 7919 + 13) % VOCAB);

/** One hash over the logits of every position, run in chunks of these sizes, in this slot. */
async function hashOf(runner: Runner, slot: number, chunks: number[]): Promise<string> {
  const hash = createHash("sha256");
  for (let start = 0, i = 0; start < prompt.length; i++) {
    const count = Math.min(chunks[i % chunks.length], prompt.length - start);
    await runner.forward({
      ids: prompt.slice(start, start + count),
      spans: [{ slot, start, count }],
      logitsRows: Array.from({ length: count }, (_, r) => r),
    });
    for (let r = 0; r < count; r++) {
      const logits = runner.logits(r);
      hash.update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
    }
    start += count;
  }
  return hash.digest("hex");
}

const CHUNKS = [[1], [4], [7], [64], [90], [3, 1, 17]];

/** A mix of forms: 4-bit with minimum and an 8-bit head; K-quants; plain f32. */
const MODELS: [string, "auto" | "none" | "q4", KvType][] = [
  ["MIX_Q4_1_Q8_0.gguf", "auto", "int16"],
  ["MIX_Q4_1_Q8_0.gguf", "auto", "int8"],
  ["MIX_Q4_1_Q8_0.gguf", "auto", "bf16"],
  ["MIX_Q4_K_M.gguf", "auto", "int16"],
  ["Q4_0.gguf", "auto", "int16"],
  ["Q5_0.gguf", "auto", "int16"],
  ["Q4_1.gguf", "none", "f32"],
  ["BF16.gguf", "none", "bf16"],
];

describe.each(MODELS)("%s, %s, %s", (file, quantization, kv) => {
  test("gives the same bits for every chunking and on every kernel", async () => {
    const hashes = new Map<string, string>();
    for (const build of BUILDS) {
      const runner = await openTiny(file, wasm(build), { quantization, kv, maxRows: 90 });
      for (const chunks of CHUNKS) {
        hashes.set(`${build} ${chunks}`, await hashOf(runner, 0, chunks));
      }
    }
    expect(new Set(hashes.values()).size, JSON.stringify([...hashes], null, 1)).toBe(1);
  });

  test("gives a sequence the same bits alone and in a batch with others", async () => {
    for (const build of BUILDS) {
      const options = { quantization, kv, slots: 4, maxRows: 64 };
      const alone = await openTiny(file, wasm(build), options);
      const together = await openTiny(file, wasm(build), options);
      const prompts = [
        prompt.slice(0, 9),
        prompt.slice(5, 22),
        prompt.slice(7, 10),
        prompt.slice(3, 30),
      ];
      const expected: number[][] = [];
      for (const [slot, ids] of prompts.entries()) {
        await alone.forward({
          ids,
          spans: [{ slot, start: 0, count: ids.length }],
          logitsRows: [],
        });
        const id = slot + 40;
        await alone.forward({
          ids: [id],
          spans: [{ slot, start: ids.length, count: 1 }],
          logitsRows: [0],
        });
        expected.push(Array.from(alone.logits(0)));
      }
      await together.forward({
        ids: prompts.flat(),
        spans: prompts.map((ids, slot) => ({ slot, start: 0, count: ids.length })),
        logitsRows: [],
      });
      await together.forward({
        ids: prompts.map((_, slot) => slot + 40),
        spans: prompts.map((ids, slot) => ({ slot, start: ids.length, count: 1 })),
        logitsRows: [0, 1, 2, 3],
      });
      expected.forEach((logits, slot) => {
        expect(Array.from(together.logits(slot))).toEqual(logits);
      });
    }
  });
});
