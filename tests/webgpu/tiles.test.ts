/** The kernels that take several rows at once, at rows around the sizes of their tiles. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Gpu } from "../../src/backends/webgpu/gpu.ts";
import { attentionCases, formsOf, opError, SIZES } from "../conformance/op-errors.ts";
import { opCases } from "../conformance/op-plans.ts";
import { entriesOf, reference, webgpu } from "../conformance/runners.ts";
import { openCheckedGpu } from "./checked-gpu.ts";
import { openDawn } from "./dawn.ts";

/** Single rows, a tile of 32, one of 64, three of 32, two of 64. */
const ROWS = [7, 9, 33, 65, 128];

/** As in the conformance suite: sums of up to 192 products of rounding 2^-24. */
const TOLERANCE = 3e-6;

/** An f16 pair keeps 11 bits. */
const F16_TOLERANCE = 1e-3;

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openCheckedGpu(await openDawn(), "llvmpipe");
});
afterAll(() => gpu.device.destroy());

const TILED = ["grouped heads of six", "four of eighty"];

describe.each(TILED)("%s", (size) => {
  const sizes = SIZES[size];
  const products = opCases(sizes).filter(({ title }) => /matmul/.test(title));

  test.each(formsOf(sizes))(
    "products over %s do not depend on the rows of a tile",
    async (form) => {
      for (const opCase of products) {
        expect(await opError(webgpu(gpu), opCase, form, "f32", ROWS)).toBeLessThan(TOLERANCE);
      }
    },
  );
});

describe.each(["SmolLM2's heads", "four of eighty", "Llama 3's group"])("%s", (size) => {
  test("attention of tiles of rows is that of single rows", async () => {
    for (const opCase of attentionCases(SIZES[size])) {
      expect(await opError(webgpu(gpu), opCase, "f32", "f32", ROWS)).toBeLessThan(TOLERANCE);
    }
  });

  test("attention of tiles over a cache of f16 pairs is off by their rounding", async () => {
    const [opCase] = attentionCases(SIZES[size]);
    expect(await opError(webgpu(gpu), opCase, "f32", "int16", ROWS)).toBeLessThan(F16_TOLERANCE);
  });
});

describe("batches of several slots", () => {
  /** Chunks of two prompts, a single row between them: no tile has rows of two. */
  const batch = (start: number) => ({
    ids: Array.from({ length: 81 }, (_, i) => (i * 5 + start) % 16),
    spans: [
      { slot: 2, start, count: 37 },
      { slot: 0, start: 2 * start, count: 1 },
      { slot: 1, start: start / 2, count: 43 },
    ],
    logitsRows: Array.from({ length: 81 }, (_, i) => i),
  });

  test("attention sees its own slot, from the first position to the row's", async () => {
    const sizes = SIZES["Llama 3's group"];
    for (const opCase of attentionCases(sizes)) {
      const entries = entriesOf(opCase.tensors, () => "f32");
      const options = { ctx: 100, slots: 3, maxRows: 90, maxLogits: 90, kv: "f32" } as const;
      const runner = await webgpu(gpu)(opCase.plan, entries, options);
      const oracle = await reference(opCase.plan, entries, options);
      for (const tested of [runner, oracle]) {
        for (const [slot, count] of [
          [2, 40],
          [0, 80],
          [1, 20],
        ]) {
          const ids = Array.from({ length: count }, (_, i) => (i + slot) % 16);
          await tested.forward({ ids, spans: [{ slot, start: 0, count }], logitsRows: [] });
        }
        await tested.forward(batch(40));
      }
      for (const row of [0, 31, 32, 36, 37, 38, 69, 70, 80]) {
        const found = Array.from(runner.logits(row).subarray(0, opCase.outputs));
        const expected = oracle.logits(row);
        for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i], 5);
      }
      runner.dispose();
    }
  });
});
