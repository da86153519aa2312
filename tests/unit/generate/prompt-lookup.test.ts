import { describe, expect, test } from "vitest";
import { PromptLookup } from "../../../src/generate/prompt-lookup.ts";
import { bitsAt } from "../../../src/generate/random.ts";

/** What is expected to come, as far as the lookup goes. */
function expected(lookup: PromptLookup, most = 8): number[] {
  return lookup.propose(lookup.expect(new Float64Array(most)));
}

const lookupOf = (text: number[], prediction?: number[]): PromptLookup =>
  new PromptLookup(Int32Array.from(text), prediction);

test("expects what followed the last two tokens", () => {
  expect(expected(lookupOf([1, 2, 3, 4, 5, 9, 1, 2]), 4)).toEqual([3, 4, 5, 9]);
});

test("expects nothing after tokens that did not occur, or of which only one did", () => {
  expect(expected(lookupOf([1, 2, 3, 4]))).toEqual([]);
  expect(expected(lookupOf([1, 2, 3, 9, 2]))).toEqual([]);
  expect(expected(lookupOf([7]))).toEqual([]);
});

test("prefers the longest of the last tokens, then the most recent place", () => {
  expect(expected(lookupOf([1, 2, 3, 10, 9, 2, 3, 20, 0, 1, 2, 3]), 1)).toEqual([10]);
  expect(expected(lookupOf([2, 3, 10, 9, 2, 3, 20, 0, 2, 3]), 1)).toEqual([20]);
});

test("goes on with a repetition beyond the end of what is known", () => {
  expect(expected(lookupOf([1, 2, 3, 1, 2, 3, 1, 2]), 7)).toEqual([3, 1, 2, 3, 1, 2, 3]);
});

test("follows a place for as long as it predicts what comes", () => {
  const lookup = lookupOf([1, 2, 3, 4, 5, 6, 0, 1, 2]);
  for (const id of [3, 4, 5]) lookup.push(id);
  expect(expected(lookup, 1)).toEqual([6]);
  lookup.push(8);
  expect(expected(lookup)).toEqual([]);
});

describe("odds", () => {
  const first = (lookup: PromptLookup): number => {
    const odds = new Float64Array(1);
    expect(lookup.expect(odds)).toBe(1);
    return odds[0];
  };
  const twenty = Array.from({ length: 20 }, (_, i) => i + 10);
  /** After two tokens of the twenty, for the eleventh time; ten times they went on like this. */
  const after = (next: (round: number) => number): number => {
    const lookup = lookupOf([...twenty, 90]);
    for (let round = 0; round < 10; round++)
      for (const id of [10, 11, next(round)]) lookup.push(id);
    for (const id of [50, 10, 11]) lookup.push(id);
    return first(lookup);
  };

  test("are better for long matches", () => {
    const lookup = lookupOf([...twenty, 90, ...twenty.slice(0, 2)]);
    const short = first(lookup);
    for (const id of twenty.slice(2, 12)) lookup.push(id);
    expect(first(lookup)).toBeGreaterThan(short);
  });

  test("are better in a text whose matches held", () => {
    const held = after(() => 12);
    const broke = after((round) => 60 + round);
    expect(held).toBeGreaterThan(0.5);
    expect(broke).toBeLessThan(0.25);
  });

  test("of further tokens are those of all before them", () => {
    const odds = new Float64Array(8);
    expect(lookupOf([...twenty, 10, 11]).expect(odds)).toBe(8);
    for (let i = 1; i < 8; i++) expect(odds[i]).toBeLessThan(odds[i - 1]);
  });
});

describe("a prediction", () => {
  test("is expected from the first token, and found again behind a difference", () => {
    const lookup = lookupOf([1, 2, 3], [20, 21, 22, 23, 24, 25]);
    expect(expected(lookup)).toEqual([20, 21, 22, 23, 24, 25]);
    for (const id of [20, 21, 50, 23, 24]) lookup.push(id);
    expect(expected(lookup)).toEqual([25]);
    lookup.push(25);
    expect(expected(lookup)).toEqual([]);
    expect(lookup.predictionHits).toBe(3);
  });

  test("is preferred to the text where both go on", () => {
    const lookup = lookupOf([20, 21, 99, 0], [5, 20, 21, 30]);
    for (const id of [6, 20, 21]) lookup.push(id);
    expect(expected(lookup)).toEqual([30]);
  });

  test("does not run into the prompt that it is kept with", () => {
    const lookup = lookupOf([1, 2, 3], [8, 9]);
    for (const id of [8, 9]) lookup.push(id);
    expect(expected(lookup)).toEqual([]);
    expect(lookup.predictionHits).toBe(2);
  });
});

test("expects only what followed the same tokens before, and nearly always something, through growth", () => {
  const ids = Array.from({ length: 30 }, (_, i) => Number(bitsAt(1n, i) % 9n));
  const lookup = lookupOf(ids);
  let missed = 0;
  for (let n = 0; n < 2000; n++) {
    const [proposal] = expected(lookup, 1);
    const [before, last] = ids.slice(-2);
    const followers = new Set(
      ids.filter((_, i) => i >= 2 && ids[i - 2] === before && ids[i - 1] === last),
    );
    if (proposal !== undefined) expect(followers).toContain(proposal);
    else if (followers.size > 0) missed++;
    const next = Number(bitsAt(2n, n) % 9n);
    lookup.push(next);
    ids.push(next);
  }
  // N-grams that share a place in the table with a later one.
  expect(missed).toBeLessThan(200);
});
