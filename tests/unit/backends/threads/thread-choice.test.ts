import { describe, expect, test } from "vitest";
import { ThreadChoice } from "../../../../src/backends/wasm/threads/thread-choice.ts";

/** Runs batches whose time is `cost(threads, batch)`; returns the threads of each. */
function play(
  choice: ThreadChoice,
  batches: number,
  cost: (threads: number, batch: number) => number,
  rows = 1,
): number[] {
  return Array.from({ length: batches }, (_, batch) => {
    const threads = choice.next(rows);
    choice.record(rows, threads, cost(threads, batch));
    return threads;
  });
}

describe.each([
  ["decoding", 1],
  ["reading", 64],
])("%s", (_, rows) => {
  test("takes as many threads as are fastest", () => {
    const times: Record<number, number> = { 1: 8, 2: 4.5, 4: 3, 8: 5 };
    const used = play(new ThreadChoice(8), 100, (threads) => times[threads], rows);
    expect(new Set(used)).toEqual(new Set([1, 2, 4, 8]));
    expect(used.slice(25, 60)).toEqual(Array(35).fill(4));
  });

  test("takes one where more are no faster, and tries again more and more seldom", () => {
    const used = play(new ThreadChoice(2), 4000, (threads) => (threads === 1 ? 5 : 5.1), rows);
    const tries = used.flatMap((threads, batch) => (threads === 2 ? [batch] : []));
    expect(used.filter((threads) => threads === 1).length).toBeGreaterThan(0.98 * 4000);
    const late = tries.filter((batch) => batch > 1000);
    expect(late.length).toBeGreaterThan(0);
    expect(late.length).toBeLessThan(20);
  });
});

test("a hopeless number of threads is tried once in a trial", () => {
  const used = play(new ThreadChoice(2), 60, (threads) => (threads === 1 ? 5 : 500));
  expect(used.filter((threads) => threads === 2).length).toBe(1);
});

test("a machine that gets busy is noticed within a few batches, and one that gets free later", () => {
  const choice = new ThreadChoice(2);
  const free = (threads: number): number => 6 / threads;
  const busy = (threads: number): number => (threads === 1 ? 6 : 30);
  expect(play(choice, 300, free).at(-1)).toBe(2);
  const used = play(choice, 300, busy);
  expect(used.filter((threads) => threads === 2).length).toBeLessThan(20);
  expect(used.at(-1)).toBe(1);
  expect(play(choice, 1500, free).at(-1)).toBe(2);
  expect(choice.reason).toBe("decoding on 2: 2.00x");
});

test("one outlier decides nothing", () => {
  const choice = new ThreadChoice(2);
  const used = play(choice, 60, (threads, batch) => (batch === 3 ? 50 : 6 / threads));
  expect(used.slice(20)).toEqual(Array(40).fill(2));
});

test("decoding and reading are decided apart", () => {
  const choice = new ThreadChoice(2);
  play(choice, 50, (threads) => threads);
  play(choice, 50, (threads) => 10 / threads, 64);
  expect([choice.next(1), choice.next(64)]).toEqual([1, 2]);
  expect(choice.reason).toBe("decoding on 1: 2 are 0.50x, reading on 2: 2.00x");
});
