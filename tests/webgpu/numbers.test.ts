/** Products of prompts in f16 and int8: each within its rounding, and only where it is asked for. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Gpu } from "../../src/backends/webgpu/gpu.ts";
import type { ProductNumbers } from "../../src/backends/webgpu/product-tiles.ts";
import { chooseNumbers } from "../../src/engine/gpu-numbers.ts";
import { chooseSubgroups } from "../../src/engine/gpu-subgroups.ts";
import { planImage } from "../../src/pack/image-plan.ts";
import { formsOf, opError, SIZES } from "../conformance/op-errors.ts";
import { configOf, opCases } from "../conformance/op-plans.ts";
import { type CreateRunner, entriesOf, webgpu } from "../conformance/runners.ts";
import { smallLlama } from "../support/small-llama.ts";
import { openCheckedGpu } from "./checked-gpu.ts";
import { openDawn } from "./dawn.ts";

const sizes = SIZES["four of eighty"];
const product = opCases(sizes).find(({ title }) => title.startsWith("matmul"))!;
const ROWS = [9, 33, 65];

/** 11 bits; a step of int8 is 1 / 127 of a block's largest. Less would be f32. */
const BOUNDS: Record<Exclude<ProductNumbers, "f32">, [least: number, most: number]> = {
  f16: [1e-5, 2e-3],
  int8: [1e-4, 5e-3],
};

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openCheckedGpu(await openDawn(), "llvmpipe");
});
afterAll(() => gpu.device.destroy());

const create =
  (numbers: ProductNumbers): CreateRunner =>
  (plan, entries, options) =>
    webgpu(gpu)(plan, entries, { ...options, numbers } as typeof options);

test.each(formsOf(sizes).filter((form) => form.startsWith("q")))(
  "products over %s are off by the rounding of the numbers that are asked for",
  async (form) => {
    for (const [numbers, [least, most]] of Object.entries(BOUNDS)) {
      const error = await opError(create(numbers as ProductNumbers), product, form, "f32", ROWS);
      expect(error, numbers).toBeGreaterThan(least);
      expect(error, numbers).toBeLessThan(most);
    }
  },
);

test("weights that are not quantized are multiplied in f32 where int8 is asked for", async () => {
  expect(await opError(create("int8"), product, "bf16", "f32", ROWS)).toBeLessThan(3e-6);
});

test("numbers that an adapter does not have are refused", async () => {
  const without = Object.create(gpu, { hasInt8: { value: false } }) as Gpu;
  await expect(
    webgpu(without)(
      product.plan,
      entriesOf(product.tensors, () => "f32"),
      {
        ...{ ctx: 8, slots: 1, maxRows: 8, maxLogits: 1, kv: "f32", numbers: "int8" },
      } as never,
    ),
  ).rejects.toThrow(/llvmpipe.*does not multiply in int8/);
});

test("a software adapter multiplies in f32 where the numbers are left open, without being asked", async () => {
  const config = configOf(sizes, 64);
  const model = { config, tensors: [], facts: { quantization: { kv: "f32" } } } as const;
  const now = () => {
    throw new Error("it measures");
  };
  expect(await chooseNumbers("auto", model, gpu, now)).toBe("f32");
});

test("what is faster is found by running the model's own shapes, on what says that it is no software", async () => {
  const { config, entries } = smallLlama("q4m", { hidden_size: 64, intermediate_size: 96 });
  const { tensors } = planImage(entries);
  const model = { config, tensors, facts: { quantization: { kv: "f32" } } } as const;
  const real = Object.create(gpu, { isSoftware: { value: false } }) as Gpu;
  let readings = 0;
  const now = (): number => {
    readings++;
    return performance.now();
  };
  expect(["f32", "f16", "int8"]).toContain(await chooseNumbers("auto", model, real, now));
  const ofNumbers = readings;
  expect(ofNumbers).toBeGreaterThan(6);
  expect(typeof (await chooseSubgroups(model, real, now))).toBe("boolean");
  expect(readings).toBeGreaterThan(ofNumbers + 4);
});
