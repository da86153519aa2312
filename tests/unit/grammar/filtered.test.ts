import { describe, expect, test } from "vitest";
import { compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import { both, type Expression, except } from "../../../src/grammar/expression.ts";
import { parseRegex } from "../../../src/grammar/parse-regex.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { allTexts, matcherAfter } from "./byte-vocabulary.ts";

const { texts, trie } = allTexts("ab", 7);
const regex = (pattern: string): Expression =>
  parseRegex(pattern, { match: "whole", param: "regex" });

function readTexts(expression: Expression): string[] {
  const grammar = compileGrammar({ start: "x", rules: new Map([["x", expression]]) });
  const masks = new TokenMasks(trie);
  return ["", ...texts].filter((text) => {
    try {
      return matcherAfter(grammar, masks, text).complete;
    } catch {
      return false;
    }
  });
}

const PAIRS = [
  ["[ab]*", "(ab?)*"],
  ["a*b*", "(a|b){2,4}"],
  ["(ab|ba)*", "a.*"],
  ["(a|b)*a(a|b){2}", "(a|aa|b)*b"],
  ["a{1,20}", "[ab]{3,5}"],
  ["(a?b){0,3}", "(a|b)*aa|b*"],
] as const;

describe("texts of two languages", () => {
  for (const [left, right] of PAIRS) {
    const isLeft = (text: string): boolean => new RegExp(`^(${left})$`).test(text);
    const isRight = (text: string): boolean => new RegExp(`^(${right})$`).test(text);

    test(`${left} and ${right}`, () => {
      const expected = ["", ...texts].filter((text) => isLeft(text) && isRight(text));
      expect(readTexts(both(regex(left), regex(right)))).toEqual(expected);
    });

    test(`${left}, but not ${right}`, () => {
      const expected = ["", ...texts].filter((text) => isLeft(text) && !isRight(text));
      expect(readTexts(except(regex(left), regex(right)))).toEqual(expected);
    });
  }

  test("none at all is a mistake", () => {
    expect(() => readTexts(both(regex("a+"), regex("b+")))).toThrow("no text matches");
    expect(() => readTexts(except(regex("a+"), regex("a*")))).toThrow("no text matches");
  });

  test("of several bytes are of whole characters", () => {
    const grammar = (expression: Expression) =>
      compileGrammar({ start: "x", rules: new Map([["x", expression]]) });
    const masks = new TokenMasks(trie);
    const some = grammar(except(regex("[à-ü]"), regex("[é-ë]")));
    expect(matcherAfter(some, masks, "è").complete).toBe(true);
    expect(() => matcherAfter(some, masks, "é")).toThrow("cannot come");
  });
});
