import { expect, test } from "vitest";
import { SubmitPacer } from "../../../src/backends/webgpu/submit-pacer.ts";

/** A queue that does so many multiplications in a millisecond. */
function pacerOf(rate: () => number): { pacer: SubmitPacer; run(work: number): Promise<number> } {
  let time = 0;
  let ends: (() => void)[] = [];
  const queue = {
    onSubmittedWorkDone: () =>
      new Promise<undefined>((resolve) => ends.push(() => resolve(undefined))),
  };
  const pacer = new SubmitPacer(queue, () => time);
  return {
    pacer,
    async run(work) {
      const done = pacer.submitted(work);
      const before = time;
      time += work / rate();
      for (const end of ends) end();
      ends = [];
      await done;
      return time - before;
    },
  };
}

test("submits stay below 100 ms as soon as one was measured, however slow the adapter is", async () => {
  for (const rate of [1e3, 1e6, 1e9]) {
    const { pacer, run } = pacerOf(() => rate);
    await run(pacer.budget);
    for (let i = 0; i < 50; i++) expect(await run(pacer.budget)).toBeLessThan(100);
  }
});

test("a fast adapter's submits grow, and are cut at once when it slows down", async () => {
  let rate = 1e9;
  const { pacer, run } = pacerOf(() => rate);
  const first = pacer.budget;
  for (let i = 0; i < 20; i++) await run(pacer.budget);
  expect(pacer.budget).toBeGreaterThan(20 * first);
  expect(await run(pacer.budget)).toBeGreaterThan(25);
  rate = 1e7;
  await run(pacer.budget);
  expect(await run(pacer.budget)).toBeLessThan(100);
});

test("submits behind others are not taken for slow ones", async () => {
  let ends: (() => void)[] = [];
  let time = 0;
  const queue = {
    onSubmittedWorkDone: () =>
      new Promise<undefined>((resolve) => ends.push(() => resolve(undefined))),
  };
  const pacer = new SubmitPacer(queue, () => time);
  const all = [1e9, 1e9, 1e9].map((work) => pacer.submitted(work));
  time = 50;
  ends[0]();
  await all[0];
  const { budget } = pacer;
  time = 5000;
  ends.slice(1).forEach((end) => {
    end();
  });
  ends = [];
  await Promise.all(all);
  expect(pacer.budget).toBe(budget);
});
