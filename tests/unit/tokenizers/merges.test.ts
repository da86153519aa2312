import { describe, expect, test } from "vitest";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import { byteLevelMetadata, randomSource, sentencePieceMetadata } from "./vocabularies.ts";

const LETTERS = "abcd";

/** Random pieces over few letters, so that merges compete: each with two pieces it joins. */
function randomPieces(seed: number, count: number): Map<string, readonly [string, string]> {
  const random = randomSource(seed);
  const pieces = [...LETTERS];
  const made = new Map<string, readonly [string, string]>();
  while (made.size < count) {
    const [a, b] = [pieces[random(pieces.length)]!, pieces[random(pieces.length)]!];
    if (a.length + b.length > 6 || made.has(a + b)) continue;
    made.set(a + b, [a, b]);
    pieces.push(a + b);
  }
  return made;
}

/** Merges the leftmost pair of the lowest rank until none is left. */
function mergeNaively(text: string, rankOf: (a: string, b: string) => number): string[] {
  const symbols = [...text];
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = rankOf(symbols[i]!, symbols[i + 1]!);
      if (rank < bestRank) [best, bestRank] = [i, rank];
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
  }
}

function randomText(random: (limit: number) => number, length: number): string {
  return Array.from({ length }, () => LETTERS[random(LETTERS.length)]).join("");
}

function tokens(tokenizer: Tokenizer, text: string): string[] {
  return tokenizer.encode(text, { addSpecialTokens: false }).map((id) => tokenizer.tokenText(id));
}

/** Short words are merged by scanning, long ones by a heap. */
const LENGTHS = [1, 2, 5, 20, 127, 128, 129, 130, 300, 1000];

describe.each([1, 2, 3, 4, 5])("vocabulary %d", (seed) => {
  test("byte-level BPE merges by rank, then from the left", () => {
    const random = randomSource(seed);
    const merges = [...randomPieces(seed, 60).values()];
    const ranks = new Map(merges.map(([a, b], rank) => [`${a} ${b}`, rank]));
    const tokenizer = loadTokenizer(compileTokenizer(byteLevelMetadata({ merges })));
    for (const length of LENGTHS) {
      for (let n = 0; n < 10; n++) {
        const text = randomText(random, length);
        const expected = mergeNaively(text, (a, b) => ranks.get(`${a} ${b}`) ?? Infinity);
        expect(tokens(tokenizer, text)).toEqual(expected);
      }
    }
  });

  test("SentencePiece merges by score, then from the left", () => {
    const random = randomSource(seed);
    // Few scores, so that many are equal.
    const texts = [...LETTERS, ...randomPieces(seed, 60).keys()];
    const pieces = texts.map((piece) => [piece, -random(12)] as const);
    const scores = new Map(pieces);
    const metadata = sentencePieceMetadata({ pieces, more: { add_space_prefix: false } });
    const tokenizer = loadTokenizer(compileTokenizer(metadata));
    for (const length of LENGTHS) {
      for (let n = 0; n < 10; n++) {
        const text = randomText(random, length);
        const expected = mergeNaively(text, (a, b) => -(scores.get(a + b) ?? -Infinity));
        expect(tokens(tokenizer, text)).toEqual(expected);
      }
    }
  });
});

test("SentencePiece merges characters that are no pieces themselves", () => {
  const metadata = sentencePieceMetadata({
    pieces: [
      ["你好", -1],
      ["b", -2],
      ["😀b", -3],
    ],
    more: { add_space_prefix: false },
  });
  const tokenizer = loadTokenizer(compileTokenizer(metadata));
  expect(tokens(tokenizer, "你好😀b你")).toEqual(["你好", "😀b", "<0xE4>", "<0xBD>", "<0xA0>"]);
});

test("SentencePiece merges across words when a piece has a space inside", () => {
  const pieces = ["▁", "a", "b", "a▁", "a▁b"].map((piece, i) => [piece, -i] as const);
  const inside = loadTokenizer(compileTokenizer(sentencePieceMetadata({ pieces })));
  expect(tokens(inside, "a b")).toEqual(["▁", "a▁b"]);
  expect(tokens(inside, "aa b b")).toEqual(["▁", "a", "a▁b", "▁", "b"]);
});

test("with ignore_merges a word that is a piece is that token, whatever merges give", () => {
  // "abc" can only be reached as a + bc; the merge a + b comes first.
  const merges = [
    ["a", "b"],
    ["b", "c"],
    ["a", "bc"],
  ] as const;
  const encode = (pre: string): string[] =>
    tokens(loadTokenizer(compileTokenizer(byteLevelMetadata({ merges, pre }))), "abc");
  expect(encode("llama-bpe")).toEqual(["abc"]);
  expect(encode("dbrx")).toEqual(["ab", "c"]);
  expect(encode("gpt-2")).toEqual(["ab", "c"]);
});
