import { expect, test } from "vitest";
import { openCheckpoint } from "../../../src/engine/open-checkpoint.ts";
import { castTensor } from "../../../src/formats/cast-tensor.ts";
import type { FloatType } from "../../../src/formats/float-tensor.ts";
import { planLlama } from "../../../src/model/plan.ts";
import type { Quantization } from "../../../src/pack/form-choice.ts";
import { reference } from "../../conformance/backends.ts";
import { randomCheckpoint } from "../../support/random-checkpoint.ts";

const SIZES = {
  vocab_size: 300,
  hidden_size: 192, // one and a half groups of 128
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 64,
};

const IDS = [1, 200, 17, 33, 254, 90, 4, 111];

async function logits(quantization: Quantization, type: FloatType = "F32"): Promise<Float32Array> {
  const source = randomCheckpoint(SIZES, 7);
  const tensors = new Map([...source.tensors].map(([name, t]) => [name, castTensor(t, type)]));
  const options = { quantization, profile: "default" } as const;
  const model = await openCheckpoint({ ...source, tensors }, options);
  const sizes = { ctx: 64, slots: 1, maxRows: 16, maxLogits: 16, kv: "f32" } as const;
  const runner = await reference(planLlama(model.config), model.entries, sizes);
  const spans = [{ slot: 0, start: 0, count: IDS.length }];
  await runner.forward({ ids: IDS, spans, logitsRows: [IDS.length - 1] });
  return runner.logits(0).slice();
}

/** Of the logits, relative to their size. */
function distance(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let size = 0;
  a.forEach((x, i) => {
    difference += (x - b[i]) ** 2;
    size += b[i] ** 2;
  });
  return Math.sqrt(difference / size);
}

test("4 bits change the logits more than 8, by each size of group otherwise", async () => {
  const exact = await logits("none");
  const order = ["int8", "int4g32", "int4g64", "int4g128"] as const;
  const distances = [];
  for (const name of order) distances.push(distance(await logits(name), exact));
  const [int8, ...int4] = distances;
  expect(int8).toBeLessThan(0.02);
  for (const found of int4) {
    expect(found).toBeGreaterThan(3 * int8);
    expect(found).toBeLessThan(0.4);
  }
  // Each has scales of its own.
  expect(new Set(int4).size).toBe(3);
});

test("int4 alone is groups of 128, q8 is int8", async () => {
  expect(await logits("int4")).toEqual(await logits("int4g128"));
  expect(await logits("int8")).toEqual(await logits("q8"));
});

test.each(["F16", "BF16"] as const)(
  "%s weights are quantized from their exact values",
  async (type) => {
    const exact = await logits("none", type);
    expect(distance(await logits("int8", type), exact)).toBeLessThan(0.02);
    expect(distance(await logits("none", type), await logits("f32", type))).toBeLessThan(1e-6);
  },
);
