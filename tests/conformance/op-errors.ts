/** How far a backend's operations are from the reference's: no test runner needed, so that it runs anywhere. */
import type { KvType, Runner } from "../../src/backends/backend.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import { type OpCase, opCases, type Sizes } from "./op-plans.ts";
import { type CreateRunner, entriesOf, reference } from "./runners.ts";

/** Sizes that are no multiple of anything, but for dim: panels have 16 rows, blocks 32 columns. */
export const SIZES: Record<string, Sizes> = {
  "one head of two": { dim: 16, heads: 1, kvHeads: 1, headDim: 2, ffn: 5 },
  "grouped heads of six": { dim: 32, heads: 6, kvHeads: 2, headDim: 6, ffn: 33 },
  "SmolLM2's heads": { dim: 192, heads: 3, kvHeads: 1, headDim: 64, ffn: 128 },
  "four of eighty": { dim: 160, heads: 4, kvHeads: 1, headDim: 80, ffn: 96 },
  "Llama 3's group": { dim: 64, heads: 8, kvHeads: 2, headDim: 16, ffn: 64 },
};

/** Rows of a prompt; 1 takes the GEMV path, others the GEMM with and without a full tile. */
export const ROWS: readonly number[] = [1, 2, 4, 7, 33];

/** Blocks of 32 columns are what quantized forms have. */
export function formsOf({ dim }: Sizes): readonly MatrixForm[] {
  return dim % 32 === 0 ? ["f32", "bf16", "q8", "q6m", "q4", "q4m", "q4s"] : ["f32", "bf16"];
}

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
export function relativeError(found: number[][], expected: number[][]): number {
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

/** The largest relative error of the operation over batches of so many rows. */
export async function opError(
  create: CreateRunner,
  opCase: OpCase,
  form: MatrixForm,
  kv: KvType,
  rowCounts: readonly number[] = ROWS,
): Promise<number> {
  const entries = entriesOf(opCase.tensors, (name) => (PLUMBING.includes(name) ? "f32" : form));
  const most = Math.max(...rowCounts) + 7;
  const options = { ctx: most, slots: 2, maxRows: most, maxLogits: most, kv };
  const runner = await create(opCase.plan, entries, options);
  const oracle = await reference(opCase.plan, entries, options);
  const errors: number[] = [];
  for (const rows of rowCounts) {
    const found = await outputs(runner, rows, opCase.outputs);
    errors.push(relativeError(found, await outputs(oracle, rows, opCase.outputs)));
  }
  runner.dispose();
  return Math.max(...errors);
}

/** The operations that read the cache. */
export function attentionCases(sizes: Sizes): OpCase[] {
  return opCases(sizes).filter(({ title }) => title.includes("attention"));
}
