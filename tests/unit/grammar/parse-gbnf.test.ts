import { describe, expect, test } from "vitest";
import { compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import { parseGbnf } from "../../../src/grammar/parse-gbnf.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { matcherAfter, vocabularyOf } from "./byte-vocabulary.ts";

const { trie } = vocabularyOf(["a"]);

function matches(source: string, text: string): boolean {
  try {
    return matcherAfter(compileGrammar(parseGbnf(source)), new TokenMasks(trie), text).complete;
  } catch {
    return false;
  }
}

/** A grammar, texts that are its, and texts that are not. */
const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['root ::= "yes" | "no"', ["yes", "no"], ["", "yesno", "maybe"]],
  ['root ::= item ("," item)*\nitem ::= [a-z]+', ["a", "a,bc"], ["", "a,", ",a"]],
  ['# a list\nroot ::= (\n  "a" # one\n | "b"\n)+\n', ["ab", "b"], ["", "c"]],
  ['root ::= "a"\n  | "b"', ["a", "b"], ["ab"]],
  ['root ::= x y\nx ::= "1"\ny ::= "2"', ["12"], ["1", "2"]],
  ['root ::= "\\x41\\u00e9\\U0001F600\\n\\"\\\\"', ['Aé😀\n"\\'], ["A"]],
  ["root ::= [^\\n\\]]+", ["abc]".slice(0, 3)], ["a]", "a\n", ""]],
  ["root ::= [a-c-]{2,3}", ["a-", "abc"], ["a", "abca", "dd"]],
  ["root ::= .{3}", ["aé😀"], ["ab"]],
  ["root ::= 'x\"' /* both */ | [#x]", ['x"', "#", "x"], ["y"]],
  ['word ::= "w"\nroot ::= word', ["w"], [""]],
  ['answer ::= "w" ;\n', ["w"], [""]],
  ['root ::= "(" root ")" | ""', ["", "(())"], ["(", "())"]],
];

describe("GBNF", () => {
  for (const [source, texts, others] of CASES) {
    test(source.replaceAll("\n", " / "), () => {
      const all = [...texts, ...others];
      expect(all.filter((text) => matches(source, text))).toEqual(texts);
    });
  }

  const refused: readonly (readonly [string, string])[] = [
    ["", "no rule"],
    ['root = "a"', "line 1: ::= is missing after root"],
    ['root ::= "a', "line 1"],
    ['root ::= ("a"', ") is missing"],
    ['root ::= "a"\nroot ::= "b"', "line 2: root is defined twice"],
    ["root ::= other", "rule other does not exist"],
    ['root ::= root "a" | "b"', "begins with itself"],
    ['root ::= other "a"\nother ::= "x"* root | "b"', "begins with itself"],
    ["root ::= root", "no text matches root"],
    ['root ::= "a" root', "no text matches root"],
    ["root ::= [z-a]", "ends before it begins"],
    ['root ::= "a"{3,2}', "at most is less"],
    ['root ::= "a"{9999999}', "a count of 9999999"],
    ["root ::= <think>", "tokens by name"],
    ['root ::= "\\uD800"', "is no character"],
    [`root ::= ${"(".repeat(500)}"a"${")".repeat(500)}`, "brackets in each other"],
    [`root ::= ${'"a" | '.repeat(40_000)}"a"`, "at most 200000"],
  ];
  for (const [source, message] of refused) {
    test(`refuses ${source.slice(0, 40).replaceAll("\n", " / ")}`, () => {
      expect(() => compileGrammar(parseGbnf(source))).toThrow(message);
    });
  }
});
