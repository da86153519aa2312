import { expect, test } from "vitest";
import type { Batch } from "../../../src/backends/backend.ts";
import { classifyTexts } from "../../../src/engine/classify.ts";
import type { SlotLoan } from "../../../src/engine/slot-lender.ts";

/** A slot whose head gives the sum of what its cache holds, weighted by place. */
function loanOf(isCutDependent: boolean): { loan: SlotLoan; batches: Batch[] } {
  const cache: number[] = [];
  const batches: Batch[] = [];
  let output = 0;
  const runner = { maxRows: 4, isCutDependent, logits: () => Float32Array.of(output) };
  const run: SlotLoan["run"] = async (batch, read) => {
    batches.push(batch);
    const start = batch.spans[0]?.start ?? 0;
    cache.splice(start, cache.length, ...Array.from(batch.ids));
    output = cache.reduce((sum, id, i) => sum + id * (i + 1), 0);
    read();
  };
  return { loan: { runner, slot: 1, run } as unknown as SlotLoan, batches };
}

const query = [1, 2, 3, 4, 5, 6];
const pairs = [[...query, 7, 8], [...query, 9], [...query, 9], query, [3, 1]];
const expected = pairs.map((ids) => [ids.reduce((sum, id, i) => sum + id * (i + 1), 0)]);

test("what pairs have in common is computed once", async () => {
  const { loan, batches } = loanOf(false);
  const outputs = await classifyTexts(loan, pairs, undefined);
  expect(outputs.map((one) => [...one])).toEqual(expected);
  expect(batches.map(({ ids }) => ids)).toEqual([
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [9],
    [9], // the same pair again: its last token, whose row is asked for
    [6],
    [3, 1],
  ]);
});

test("all of each is computed where keys depend on how a text was cut", async () => {
  const { loan, batches } = loanOf(true);
  const outputs = await classifyTexts(loan, pairs, undefined);
  expect(outputs.map((one) => [...one])).toEqual(expected);
  const rows = batches.reduce((sum, { ids }) => sum + ids.length, 0);
  expect(rows).toBe(pairs.reduce((sum, ids) => sum + ids.length, 0));
});
