import { expect, test } from "vitest";
import { writableCharacters } from "../../../src/grammar/alphabet.ts";
import { compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import type { Grammar } from "../../../src/grammar/expression.ts";
import { compileJsonSchema } from "../../../src/grammar/json-schema/compile-json-schema.ts";
import { GrammarMatcher } from "../../../src/grammar/matcher.ts";
import { parseRegex } from "../../../src/grammar/parse-regex.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { buildTokenTrie, type TokenTrie } from "../../../src/grammar/token-trie.ts";
import { joinTexts } from "../../support/join-texts.ts";
import { chanceOf } from "../../support/random-schemas.ts";
import { vocabularyOf } from "./byte-vocabulary.ts";

const bytesVocabulary = (bytes: readonly number[], ...texts: Uint8Array[]): TokenTrie => {
  const all = [...bytes.map((byte) => Uint8Array.of(byte)), ...texts];
  return buildTokenTrie(joinTexts(all));
};
const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => byte);

test("a vocabulary with every byte of UTF-8 writes all characters", () => {
  expect(writableCharacters(bytesVocabulary(ALL_BYTES))).toBe(undefined);
  const used = ALL_BYTES.filter((byte) => byte < 0xc0 || (byte > 0xc1 && byte < 0xf5));
  expect(writableCharacters(bytesVocabulary(used))).toBe(undefined);
});

test("without bytes, the characters that are tokens can be written", () => {
  const { trie } = vocabularyOf(["a", "b", "é", "ab", "😀", "xé"]);
  expect(writableCharacters(trie)).toEqual([
    [97, 98],
    [0xe9, 0xe9],
    [0x1f600, 0x1f600],
  ]);
});

test("characters that can be begun and not ended are none", () => {
  const encoder = new TextEncoder();
  // 0xC3 is a token, 0xA9 is not: é could be left half written.
  const trie = bytesVocabulary([0x61, 0xc3], encoder.encode("é"));
  expect(writableCharacters(trie)).toEqual([[97, 97]]);
});

const GRAMMARS: readonly Grammar[] = [
  compileJsonSchema({ type: "object", properties: { é: { type: "string" }, a: {} } }),
  compileJsonSchema({ enum: ["é", "ü", "a", "😀", "aé"] }),
  compileJsonSchema({ type: "string", minLength: 3, maxLength: 30 }),
  {
    start: "r",
    rules: new Map([["r", parseRegex("[a-zà-ü]{2,9}é?", { match: "whole", param: "r" })]]),
  },
];

test("whatever a vocabulary lacks, no output of what compiles is ever stuck", () => {
  const encoder = new TextEncoder();
  const words = ["é", "ü", "😀", '"é', "aé", '":', "true", '{"', "aaa", "à"].map((w) =>
    encoder.encode(w),
  );
  const partial = [Uint8Array.of(0x61, 0xc3), Uint8Array.of(0xc3), Uint8Array.of(0xa9, 0x22)];
  let steps = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const chance = chanceOf(seed * 31337);
    const bytes = ALL_BYTES.filter((byte) =>
      chance.is(byte < 128 ? 0.95 : seed % 3 === 0 ? 1 : seed % 3 === 1 ? 0 : 0.7),
    );
    const texts = [...words, ...partial].filter(() => chance.is(0.5));
    const vocabulary = [...bytes.map((byte) => Uint8Array.of(byte)), ...texts];
    const trie = buildTokenTrie(joinTexts(vocabulary));
    const alphabet = writableCharacters(trie);
    const grammar = chance.pick(GRAMMARS);
    let compiled: ReturnType<typeof compileGrammar>;
    try {
      compiled = compileGrammar(grammar, { alphabet });
    } catch (error) {
      expect((error as Error).message).toMatch(/no value|no text/);
      continue;
    }
    const matcher = new GrammarMatcher(compiled, new TokenMasks(trie));
    for (let i = 0; i < 60; i++) {
      const allowed = new Uint32Array(Math.ceil(vocabulary.length / 32));
      matcher.addAllowed(allowed);
      const ids = [...vocabulary.keys()].filter((id) => (allowed[id >>> 5] >>> (id & 31)) & 1);
      const list = ids;
      if (list.length === 0) {
        expect(matcher.complete).toBe(true);
        break;
      }
      matcher.accept(vocabulary[chance.pick(list)]);
      steps++;
    }
  }
  expect(steps).toBeGreaterThan(2000);
});
