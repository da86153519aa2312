import { describe, expect, test } from "vitest";
import { compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import { parseGbnf } from "../../../src/grammar/parse-gbnf.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { allowedTexts, allTexts, matcherAfter, readableTexts } from "./byte-vocabulary.ts";

const compile = (source: string) => compileGrammar(parseGbnf(source));

/** Grammars over a and b with the regular expression of the same texts. */
const REGULAR: readonly (readonly [string, RegExp])[] = [
  ['root ::= "a" "b"?', /^ab?$/],
  ["root ::= [ab]*", /^[ab]*$/],
  ['root ::= ("a" | "ab") "b"*', /^(a|ab)b*$/],
  ['root ::= ("ab"){2,3} "a"?', /^(ab){2,3}a?$/],
  // Counted items that are called: more copies than are written out.
  ['root ::= ("a" | "bb"){3,12}', /^(a|bb){3,12}$/],
  ["root ::= [ab]{2,11}", /^[ab]{2,11}$/],
  ['root ::= "a"{9} "b"{0,10} "a"', /^a{9}b{0,10}a$/],
  ['root ::= ("a"* "b"){2,9}', /^(a*b){2,9}$/],
  ['root ::= ("a" | "aa"){2,10} "b"', /^(a|aa){2,10}b$/],
  ['root ::= (("a" "b"?){2,9} "b"){1,9}', /^((ab?){2,9}b){1,9}$/],
  ['root ::= ("a"?){3,9} "b"', /^(a?){3,9}b$/],
  ['root ::= ("b" "a"*){9,} "b"?', /^(ba*){9,}b?$/],
  // Rules with loops, used twice: called.
  ['root ::= as "b" as "b"\nas ::= "a"+ | "b" "a"{0,20}', /^(a+|ba{0,20})b(a+|ba{0,20})b$/],
  ['root ::= x x "a"\nx ::= [ab]* "b"', /^[ab]*b[ab]*ba$/],
  ['root ::= list | "b"\nlist ::= "a" list | "a"', /^(a+|b)$/],
];

const SMALL = allTexts("ab", 4, "aaaaaaaa", "abababab", "bbbbbbbbbb");

describe("a matcher", () => {
  const texts = ["", ...allTexts("ab", 7).texts, "aaaaaaaaa", "aaaaaaaaab", "abababababab"];
  for (const [source, pattern] of REGULAR) {
    test(`reads what ${pattern} matches`, () => {
      const grammar = compile(source);
      const masks = new TokenMasks(SMALL.trie);
      for (const text of texts) {
        let complete = false;
        try {
          ({ complete } = matcherAfter(grammar, masks, text));
        } catch {}
        expect([text, complete]).toEqual([text, pattern.test(text)]);
      }
    });

    test(`allows the tokens that can be read on the way to ${pattern}`, () => {
      const grammar = compile(source);
      const masks = new TokenMasks(SMALL.trie);
      for (const text of texts.slice(0, 60).concat(texts.slice(-3))) {
        if (!readable(grammar, masks, text)) continue;
        const matcher = matcherAfter(grammar, masks, text);
        const expected = readableTexts(grammar, SMALL, text);
        expect([text, allowedTexts(matcher, SMALL)]).toEqual([text, expected]);
        if (!matcher.complete) expect(expected).not.toEqual([]);
      }
    });
  }

  test("follows rules that call themselves", () => {
    const grammar = compile('root ::= value\nvalue ::= "[" (value ("," value)*)? "]" | "x"');
    const vocabulary = allTexts("[],x", 3);
    const masks = new TokenMasks(vocabulary.trie);
    for (const text of ["[", "[[x,", "[[[x]],", "[x]", "[[x],[x]"]) {
      const allowed = allowedTexts(matcherAfter(grammar, masks, text), vocabulary);
      expect([text, allowed]).toEqual([text, readableTexts(grammar, vocabulary, text)]);
    }
    expect(allowedTexts(matcherAfter(grammar, masks, "[[x"), vocabulary)).toContain("]]");
    expect(allowedTexts(matcherAfter(grammar, masks, "[[x"), vocabulary)).not.toContain("]]]");
  });

  test("is finished when nothing can follow", () => {
    const grammar = compile('root ::= "a" "b"*');
    const masks = new TokenMasks(SMALL.trie);
    expect(matcherAfter(grammar, masks, "")).toMatchObject({ complete: false, finished: false });
    expect(matcherAfter(grammar, masks, "ab")).toMatchObject({ complete: true, finished: false });
    const once = compile('root ::= "ab"');
    expect(matcherAfter(once, masks, "ab")).toMatchObject({ complete: true, finished: true });
  });

  test("knows the bytes that come whatever is chosen", () => {
    const grammar = compile('root ::= "{\\"name\\": " ("1" | "2") "é" ("!" | "")');
    const masks = new TokenMasks(SMALL.trie);
    const forced = (text: string) =>
      new TextDecoder().decode(matcherAfter(grammar, masks, text).forcedBytes());
    expect(forced("")).toBe('{"name": ');
    expect(forced('{"name": ')).toBe("");
    expect(forced('{"name": 1')).toBe("é");
    expect(forced('{"name": 1é')).toBe("");
  });

  test("splits characters between tokens", () => {
    const grammar = compile("root ::= [à-ü]+");
    const matcher = matcherAfter(grammar, new TokenMasks(SMALL.trie), "");
    matcher.accept(Uint8Array.of(0xc3));
    expect(matcher.complete).toBe(false);
    expect(() => matcher.accept(Uint8Array.of(0x9f))).toThrow("byte 159 where it cannot come");
    matcher.accept(Uint8Array.of(0xa0, 0xc3, 0xbc));
    expect(matcher.complete).toBe(true);
  });
});

function readable(...args: Parameters<typeof matcherAfter>): boolean {
  try {
    matcherAfter(...args);
    return true;
  } catch {
    return false;
  }
}
