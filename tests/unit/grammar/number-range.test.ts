import { describe, expect, test } from "vitest";
import { compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import type { Expression } from "../../../src/grammar/expression.ts";
import { integerRange, type NumberBounds, numberRange } from "../../../src/grammar/number-range.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { matcherAfter, vocabularyOf } from "./byte-vocabulary.ts";

const { trie } = vocabularyOf(["0"]);
const none = { min: undefined, max: undefined, exclusiveMin: false, exclusiveMax: false };

function recognizer(expression: Expression): (text: string) => boolean {
  let grammar: ReturnType<typeof compileGrammar>;
  try {
    grammar = compileGrammar({ start: "root", rules: new Map([["root", expression]]) });
  } catch {
    return () => false;
  }
  return (text) => {
    try {
      return matcherAfter(grammar, new TokenMasks(trie), text).complete;
    } catch {
      return false;
    }
  };
}

function holds(value: number, { min, max, exclusiveMin, exclusiveMax }: NumberBounds): boolean {
  if (min !== undefined && (exclusiveMin ? value <= min : value < min)) return false;
  return max === undefined || (exclusiveMax ? value < max : value <= max);
}

const BOUNDS: readonly Partial<NumberBounds>[] = [
  { min: 0, max: 9 },
  { min: 7, max: 123 },
  { min: -45, max: 1005 },
  { min: -300, max: -20 },
  { min: 100, max: 100 },
  { min: 5, max: 4 },
  { min: 0, max: 10, exclusiveMin: true, exclusiveMax: true },
  { min: -1, max: 1, exclusiveMin: true },
  { min: 998 },
  { max: -3 },
];

describe("integers", () => {
  for (const bounds of BOUNDS) {
    test(`from ${bounds.min} to ${bounds.max}, ${JSON.stringify(bounds)}`, () => {
      const all = { ...none, ...bounds };
      const recognizes = recognizer(integerRange(all));
      for (let value = -1100; value <= 1100; value++) {
        expect([value, recognizes(String(value))]).toEqual([value, holds(value, all)]);
      }
      for (const text of ["", "-", "-0", "00", "01", "1.0", "+1"])
        expect(recognizes(text)).toBe(false);
    });
  }
});

describe("numbers", () => {
  const decimal: readonly Partial<NumberBounds>[] = [
    ...BOUNDS,
    { min: 0.5, max: 2.25 },
    { min: -0.75, max: 0.125, exclusiveMax: true },
    { min: 0.1, max: 0.30000000000000004 },
    { min: -3.14, max: -3.1, exclusiveMin: true, exclusiveMax: true },
    { min: 0 },
    { max: 1.5, exclusiveMax: true },
    {},
  ];
  const fractions = ["", ".0", ".5", ".1", ".10", ".125", ".25", ".30", ".14", ".139", ".99999"];
  for (const bounds of decimal) {
    test(`from ${bounds.min} to ${bounds.max}, ${JSON.stringify(bounds)}`, () => {
      const all = { ...none, ...bounds };
      const recognizes = recognizer(numberRange(all));
      for (let whole = -310; whole <= 310; whole++) {
        for (const fraction of fractions) {
          const text = `${whole}${fraction}`;
          const value = Number(text);
          // A sign is written before what is not zero only.
          if (Object.is(value, -0)) continue;
          expect([text, recognizes(text)]).toEqual([text, holds(value, all)]);
        }
      }
      for (const text of ["", "-", "1.", ".5", "00.5", "1e3"]) expect(recognizes(text)).toBe(false);
    });
  }
});
