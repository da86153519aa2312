import { describe, expect, test } from "vitest";
import { bitsAt } from "../../../src/generate/random.ts";
import { createStopMatcher } from "../../../src/generate/stop-matcher.ts";

/** The definition, read off the whole text: first end, then longest. */
function cutAtStop(text: string, stops: readonly string[]): { text: string; found?: string } {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (ending.length > 0) {
      const longest = Math.max(...ending.map((stop) => stop.length));
      const found = ending.find((stop) => stop.length === longest);
      return { text: text.slice(0, end - longest), found };
    }
  }
  return { text };
}

function run(pieces: readonly string[], stops: readonly string[]) {
  const matcher = createStopMatcher(stops);
  const parts = pieces.map((piece) => matcher.push(piece));
  return { parts: [...parts, matcher.flush()], found: matcher.found };
}

describe("stops", () => {
  test.each([
    ["inside one piece", ["one STOP two"], ["STOP"], ["one ", ""], true],
    ["across pieces", ["one S", "TO", "P two"], ["STOP"], ["one ", "", "", ""], true],
    ["at the very start", ["STOP"], ["STOP"], ["", ""], true],
    ["not, and releases what was held", ["a S", "T", "x"], ["STOP"], ["a ", "", "STx", ""], false],
    ["not, and releases at the end", ["a ST"], ["STOP"], ["a ", "ST"], false],
    ["at a start inside a false start", ["SST", "OP"], ["STOP"], ["S", "", ""], true],
    ["at the text that ends first", ["a bc d"], ["c d", "b"], ["a ", ""], true],
    ["at the longer of two that end together", ["xabc"], ["c", "abc", "bc"], ["x", ""], true],
    ["never without stop texts", ["STOP"], [], ["STOP", ""], false],
    ["once: later pieces give nothing", ["xSTOP", "STOPy"], ["STOP"], ["x", "", ""], true],
    ["on code points outside the BMP", ["x😀", "😁y"], ["😀😁"], ["x", "", ""], true],
  ])("%s", (_, pieces, stops, parts, stopped) => {
    const outcome = run(pieces, stops);
    expect(outcome.parts).toEqual(parts);
    expect(outcome.found !== undefined).toBe(stopped);
  });
});

test("holds back the longest end that is the start of any stop text, and no more", () => {
  const matcher = createStopMatcher(["abab", "bc"]);
  expect(matcher.push("xaba")).toBe("x");
  expect(matcher.push("a")).toBe("aba");
  expect(matcher.push("b")).toBe("");
  expect(matcher.flush()).toBe("ab");
});

test("the outcome depends on the text and never on where its pieces end", () => {
  let draws = 0;
  const pick = (below: number): number => Number(bitsAt(99n, draws++) % BigInt(below));
  // Two letters and short stops: overlaps, false starts and nested stops in nearly every text.
  const letters = (length: number): string => Array.from({ length }, () => "ab"[pick(2)]).join("");
  let stopped = 0;
  for (let n = 0; n < 3000; n++) {
    const text = letters(1 + pick(24));
    const stops = Array.from({ length: 1 + pick(3) }, () => letters(2 + pick(5)));
    const pieces: string[] = [];
    for (let at = 0; at < text.length; ) {
      const end = at + pick(4);
      pieces.push(text.slice(at, end));
      at = end;
    }
    const found = run(pieces, stops);
    const expected = cutAtStop(text, stops);
    expect({ text: found.parts.join(""), found: found.found }).toEqual(expected);
    if (expected.found !== undefined) stopped++;
  }
  expect(stopped).toBeGreaterThan(500);
  expect(stopped).toBeLessThan(2900);
});

test("a long stop text that nearly matches everywhere costs linear time", () => {
  const matcher = createStopMatcher([`${"a".repeat(100_000)}b`]);
  let length = 0;
  for (let n = 0; n < 200; n++) length += matcher.push("a".repeat(5000)).length;
  expect(length + matcher.flush().length).toBe(1_000_000);
});
