import { describe, expect, test } from "vitest";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { isQuantized, type MatrixForm } from "../../src/pack/forms.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { entriesOf, reference, wasm } from "./backends.ts";
import { opCases, type Sizes } from "./op-plans.ts";

/** Sizes that are no multiple of anything, but for dim: panels have 16 rows, blocks 32 columns. */
const SIZES: Record<string, Sizes> = {
  "one head of two": { dim: 16, heads: 1, kvHeads: 1, headDim: 2, ffn: 5 },
  "grouped heads of six": { dim: 32, heads: 6, kvHeads: 2, headDim: 6, ffn: 33 },
  "SmolLM2's heads": { dim: 192, heads: 3, kvHeads: 1, headDim: 64, ffn: 128 },
  "four of eighty": { dim: 160, heads: 4, kvHeads: 1, headDim: 80, ffn: 96 },
  "Llama 3's group": { dim: 64, heads: 8, kvHeads: 2, headDim: 16, ffn: 64 },
};

/** Rows of a prompt; 1 takes the GEMV path, others the GEMM with and without a full tile. */
const ROWS = [1, 2, 4, 7, 33];

/** Kept exactly as f32: what feeds the operation and what carries its output to the logits. */
const PLUMBING = ["input", "eye", "carry"];

function idsOf(rows: number): number[] {
  return Array.from({ length: rows }, (_, i) => (i * 7 + 3) % 16);
}

async function outputs(runner: Runner, rows: number, columns: number): Promise<number[][]> {
  await runner.forward({
    ids: idsOf(rows),
    spans: [{ slot: 1, start: 0, count: rows }],
    logitsRows: Array.from({ length: rows }, (_, i) => i),
  });
  return Array.from({ length: rows }, (_, i) => Array.from(runner.logits(i).subarray(0, columns)));
}

/** Root mean square of the difference, as a share of the expected values'. */
function relativeError(found: number[][], expected: number[][]): number {
  let difference = 0;
  let size = 0;
  expected.forEach((row, r) => {
    row.forEach((value, c) => {
      difference += (found[r][c] - value) ** 2;
      size += value ** 2;
    });
  });
  return Math.sqrt(difference / size);
}

/**
 * f32: sums of up to 192 products of rounding 2^-24, through two or three operations, and exp.
 * bf16 holds the same values here on both sides, so arithmetic is all that differs.
 * Quantized forms: int8 activations in blocks of 32 have an error of at most absmax / 254 each,
 * uniform, so 1 / 254 / sqrt(3) of the largest, under 1 % of the RMS of a block of noise; attention
 * and SwiGLU take products of two such values.
 */
const TOLERANCE: Record<"float" | "quantized", number> = { float: 3e-6, quantized: 2e-2 };

/** Keys and values in 11 and 8 bits, one scale a head vector; bf16 has 8 bits of fraction. */
const KV_TOLERANCE: Record<KvType, number> = { f32: 3e-6, int16: 2e-3, int8: 1.5e-2, bf16: 8e-3 };

for (const build of BUILDS) {
  const create = wasm(build);
  describe.each(Object.entries(SIZES))(`wasm ${build}: %s`, (_, sizes) => {
    const forms: MatrixForm[] = ["f32", "bf16"];
    if (sizes.dim % 32 === 0) forms.push("q8", "q6m", "q4", "q4m");
    describe.each(forms)("%s", (form) => {
      const cases = opCases(sizes);
      test.each(cases.map((c) => [c.title, c] as const))("%s", async (_, opCase) => {
        const entries = entriesOf(opCase.tensors, (name) =>
          PLUMBING.includes(name) ? "f32" : form,
        );
        const options = { ctx: 40, slots: 2, maxRows: 40, maxLogits: 40, kv: "f32" } as const;
        const runner = await create(opCase.plan, entries, options);
        const oracle = await reference(opCase.plan, entries, options);
        for (const rows of ROWS) {
          const found = await outputs(runner, rows, opCase.outputs);
          const expected = await outputs(oracle, rows, opCase.outputs);
          const tolerance = TOLERANCE[isQuantized(form) ? "quantized" : "float"];
          expect(relativeError(found, expected), `${rows} rows`).toBeLessThan(tolerance);
        }
      });
    });
    test.each(Object.entries(KV_TOLERANCE))(
      "attention over a cache of %s",
      async (kv, tolerance) => {
        for (const opCase of opCases(sizes).filter(({ title }) => title.includes("attention"))) {
          const entries = entriesOf(opCase.tensors, () => "f32");
          const options = { ctx: 40, slots: 2, maxRows: 40, maxLogits: 40, kv: kv as KvType };
          const runner = await create(opCase.plan, entries, options);
          const oracle = await reference(opCase.plan, entries, options);
          for (const rows of ROWS) {
            const found = await outputs(runner, rows, opCase.outputs);
            const expected = await outputs(oracle, rows, opCase.outputs);
            expect(relativeError(found, expected), `${rows} rows`).toBeLessThan(tolerance);
          }
        }
      },
    );
  });
}
