import { expect, test } from "vitest";
import { MatchOdds } from "../../../src/generate/match-odds.ts";

/** Match lengths that are told apart: the least and the greatest of each class. */
const CLASSES = [
  [0, 2],
  [3, 3],
  [4, 4],
  [5, 6],
  [7, 8],
  [9, 12],
  [13, 16],
  [17, 24],
  [25, 4096],
] as const;

test.each(CLASSES)(
  "what matches of %i to %i tokens did says something of these only",
  (least, most) => {
    const odds = new MatchOdds();
    const lengths = CLASSES.flat();
    const before = lengths.map((length) => odds.next(length));
    for (let n = 0; n < 50; n++) odds.observe(least, false);
    const changed = lengths.filter((length, i) => odds.next(length) !== before[i]);
    expect(new Set(changed)).toEqual(new Set([least, most]));
  },
);

test("before anything was seen a longer match is likelier to hold, and none is sure", () => {
  const odds = new MatchOdds();
  const believed = CLASSES.map(([least]) => odds.next(least));
  expect(believed).toEqual(believed.toSorted((a, b) => a - b));
  expect(believed[0]).toBeCloseTo(0.3);
  expect(believed.at(-1)).toBeCloseTo(0.92);
});

test("what was seen outweighs what is believed after some tokens", () => {
  const odds = new MatchOdds();
  // (1 + 4 * 0.3) / (1 + 4), then (1 + 0.985 + ...) of as many.
  odds.observe(2, true);
  expect(odds.next(2)).toBeCloseTo(0.44, 12);
  odds.observe(2, false);
  expect(odds.next(2)).toBeCloseTo((0.985 + 1.2) / (1.985 + 4), 12);
});

test("what was seen long ago counts less: half after some 45 tokens", () => {
  const odds = new MatchOdds();
  for (let n = 0; n < 2000; n++) odds.observe(10, true);
  expect(odds.next(10)).toBeGreaterThan(0.98);
  for (let n = 0; n < 46; n++) odds.observe(10, false);
  expect(odds.next(10)).toBeCloseTo(0.5, 1);
  for (let n = 0; n < 2000; n++) odds.observe(10, false);
  expect(odds.next(10)).toBeLessThan(0.05);
});
