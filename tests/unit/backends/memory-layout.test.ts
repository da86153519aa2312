import { expect, test } from "vitest";
import type { KvType } from "../../../src/backends/backend.ts";
import { planMemory, RESERVED_BYTES } from "../../../src/backends/wasm/memory-layout.ts";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { planLlama } from "../../../src/model/plan.ts";
import { llamaTensors } from "../../../src/model/tensors.ts";
import { type MatrixForm, weightBytes } from "../../../src/pack/forms.ts";
import type { PackedTensor } from "../../../src/pack/manifest.ts";

/** Of a thread. */
const STACK_BYTES = 64 * 1024;

/** SmolLM2-135M. */
const config = parseLlamaConfig(
  {
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    max_position_embeddings: 8192,
    tie_word_embeddings: true,
  },
  "test",
);

function planOf(
  head: MatrixForm,
  kv: KvType,
  ctx: number,
  slots = 1,
  threads = 1,
  masks = false,
  layers: MatrixForm = "q4m",
) {
  let offset = 0;
  const tensors: PackedTensor[] = llamaTensors(config).map(({ name, shape, role }) => {
    const form = role === "vector" ? "vector" : role === "embedding" ? head : layers;
    const bytes = weightBytes(form, shape);
    offset += bytes;
    return { name, form, shape, offset: offset - bytes, bytes };
  });
  const options = { ctx, slots, maxRows: 64, maxLogits: slots, kv, threads, masks };
  return planMemory(planLlama(config), tensors, offset, options);
}

test("regions lie in order, on cache lines, and none reaches into the next", () => {
  const { cache, buffers, threads, ...rest } = planOf("q8", "int16", 64, 2, 3, true);
  const { use: _, ...regions } = rest;
  const addresses = [
    ...Object.values(regions),
    ...Object.values(buffers),
    ...cache.flat().flatMap((region) => Object.values(region)),
    ...threads.flatMap(({ stack, ...own }) => [stack - STACK_BYTES, ...Object.values(own)]),
  ];
  expect(new Set(addresses).size).toBe(addresses.length);
  expect(Math.min(...addresses)).toBe(RESERVED_BYTES);
  for (const address of addresses) expect(address % 64).toBe(0);
  const x = [...addresses].sort((a, b) => a - b).find((address) => address > buffers.x)!;
  expect(x - buffers.x).toBeGreaterThanOrEqual(64 * 576 * 4);
});

test("SmolLM2's small form with 1,024 tokens of context fits a Worker's budget of 108 MB", () => {
  const { use } = planOf("q6m", "int8", 1024);
  expect(use.total).toBeLessThan(108e6);
  expect(use.kv).toBeGreaterThan(30 * 1024 * 2 * 3 * 64);
  expect(use.kv).toBeLessThan(12.6e6);
});

test("its smallest form with 2,048 tokens does, too", () => {
  const { use } = planOf("q4s", "int8", 2048, 1, 1, false, "q4s");
  expect(use.weights).toBeLessThan(77e6);
  expect(use.total).toBeLessThan(108e6);
});

test("each thread but the first has a stack of 64 KiB and scratch of its own, little of both", () => {
  const one = planOf("q8", "int16", 1024).use;
  const { threads, control, use } = planOf("q8", "int16", 1024, 1, 3);
  expect(threads.length).toBe(2);
  // A stack grows down: from its end to the region before it there is room for all of it.
  for (const { stack } of threads) {
    const starts = threads.flatMap(({ stack: end, ...own }) => [end, ...Object.values(own)]);
    const below = Math.max(...starts.filter((address) => address < stack), control);
    expect(stack - below).toBeGreaterThanOrEqual(STACK_BYTES);
  }
  expect({ ...use, scratch: 0, total: 0 }).toEqual({ ...one, scratch: 0, total: 0 });
  expect(use.scratch - one.scratch).toBeLessThan(2 * 500_000);
});

test("slots and context cost what their caches cost", () => {
  const one = planOf("q8", "int16", 1024).use;
  const four = planOf("q8", "int16", 1024, 4).use;
  expect(four.kv).toBe(4 * one.kv);
  expect(four.weights).toBe(one.weights);
});
