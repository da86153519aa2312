/** A layer's keys that are more than a binding takes lie in several buffers, which changes no number. */
import { afterAll, expect, test } from "vitest";
import type { Batch, Runner } from "../../src/backends/backend.ts";
import type { Gpu } from "../../src/backends/webgpu/gpu.ts";
import { openHostGpu } from "../../src/engine/open-host-gpu.ts";
import { planLlama } from "../../src/model/plan.ts";
import { reference, webgpu } from "../conformance/runners.ts";
import { smallLlama } from "../support/small-llama.ts";
import { openDawn } from "./dawn.ts";

const { config, entries } = smallLlama("f32");
/** So few rows that products have no tiles, which take long to compile. */
const SIZES = { ctx: 64, slots: 5, maxRows: 8, maxLogits: 8, masks: true } as const;
/** Of a slot's keys in a layer, in f16. */
const SLOT_BYTES = SIZES.ctx * config.num_key_value_heads * config.head_dim * 2;

const opened = await openHostGpu({ open: openDawn }, { software: true });
afterAll(() => opened.device.destroy());

const bindingUpTo = (maxBindingBytes: number): Gpu => {
  const { device, name, isSoftware, hasF16, hasInt8, subgroupSize, maxBufferBytes } = opened;
  const limits = { maxBufferBytes, maxBindingBytes };
  const features = { isSoftware, hasF16, hasInt8, subgroupSize };
  return { device, name, ...features, ...limits, lost: undefined };
};
/** Two slots a buffer, and one in the last. */
const divided = bindingUpTo(2.5 * SLOT_BYTES);

const ids = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => (i * 13 + seed * 29) % config.vocab_size);

/** Of slots in all buffers: prompts of several rows, one with a mask, then a token each. */
function batches(): Batch[] {
  const prompts = [2, 1, 3, 2];
  const visible = Uint8Array.of(1, 0, 0, 0, 1, 0, 1, 0, 1);
  const spans = [4, 0, 3, 1].map((slot, i) => ({
    ...{ slot, start: 0, count: prompts[i]! },
    ...(slot === 3 && { visible }),
  }));
  const plain = spans.map(({ slot, start, count }) => ({ slot, start, count }));
  const rows = prompts.reduce((sum, count) => sum + count, 0);
  const next = spans.map(({ slot, count }) => ({ slot, start: count, count: 1 }));
  const all = Array.from({ length: rows }, (_, row) => row);
  return [
    { ids: ids(8, 4), spans: [{ slot: 4, start: 0, count: 8 }], logitsRows: [0, 3, 7] },
    { ids: ids(rows, 1), spans, logitsRows: all },
    { ids: ids(rows, 2), spans: plain, logitsRows: all },
    { ids: ids(4, 3), spans: next, logitsRows: [0, 1, 2, 3] },
  ];
}

async function logitsOf(runner: Runner, batch: Batch): Promise<number[]> {
  await runner.forward(batch);
  return batch.logitsRows.flatMap((_, i) => [...runner.logits(i)]);
}

const largest = (a: number[], b: number[]): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

test("batches over slots of several buffers give the reference's logits", async () => {
  const plan = planLlama(config);
  const runner = await webgpu(divided)(plan, entries, { ...SIZES, kv: "int16" });
  const oracle = await reference(plan, entries, { ...SIZES, kv: "f32" });
  for (const batch of batches()) {
    // Keys are kept in f16.
    expect(largest(await logitsOf(runner, batch), await logitsOf(oracle, batch))).toBeLessThan(
      2e-2,
    );
  }
  runner.dispose();
});

test("slots are copied, saved and loaded within a buffer and between two", async () => {
  const runner = await webgpu(divided)(planLlama(config), entries, { ...SIZES, kv: "int16" });
  const [batch] = batches() as [Batch];
  await runner.forward(batch);
  const next = (slot: number): Batch => ({
    ...{ ids: [7], spans: [{ slot, start: 8, count: 1 }], logitsRows: [0] },
  });
  runner.copySlot(4, 1, 8);
  runner.copySlot(1, 0, 8);
  for (const layer of [0, 1]) {
    runner.loadCache(2, layer, 8, await runner.saveCache(4, layer, 8));
  }
  const expected = await logitsOf(runner, next(4));
  for (const slot of [0, 1, 2]) expect(await logitsOf(runner, next(slot))).toEqual(expected);
  runner.dispose();
});

test("a slot that no binding takes is refused with the numbers", async () => {
  const small = bindingUpTo(SLOT_BYTES - 1);
  const made = webgpu(small)(planLlama(config), entries, { ...SIZES, kv: "int16" });
  await expect(made).rejects.toMatchObject({ code: "out_of_memory" });
});
