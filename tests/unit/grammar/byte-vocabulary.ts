/** A small vocabulary of texts, and what a grammar allows of it by the shortest reasoning there is. */
import type { CompiledGrammar } from "../../../src/grammar/compile-grammar.ts";
import { GrammarMatcher } from "../../../src/grammar/matcher.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { buildTokenTrie, type TokenTrie } from "../../../src/grammar/token-trie.ts";
import { joinTexts } from "../../support/join-texts.ts";

const encoder = new TextEncoder();

export interface Texts {
  readonly texts: readonly string[];
  readonly trie: TokenTrie;
}

export function vocabularyOf(texts: readonly string[]): Texts {
  return { texts, trie: buildTokenTrie(joinTexts(texts.map((text) => encoder.encode(text)))) };
}

/** Every text of up to `length` of these characters, and the longer ones. */
export function allTexts(characters: string, length: number, ...longer: string[]): Texts {
  let last = [""];
  const texts: string[] = [];
  for (let i = 0; i < length; i++) {
    last = last.flatMap((text) => [...characters].map((character) => text + character));
    texts.push(...last);
  }
  return vocabularyOf([...texts, ...longer]);
}

export function matcherAfter(
  grammar: CompiledGrammar,
  masks: TokenMasks,
  text: string,
): GrammarMatcher {
  const matcher = new GrammarMatcher(grammar, masks);
  matcher.accept(encoder.encode(text));
  return matcher;
}

export function allowedTexts(matcher: GrammarMatcher, { texts }: Texts): string[] {
  const bits = new Uint32Array(Math.ceil(texts.length / 32));
  matcher.addAllowed(bits);
  return texts.filter((_, id) => (bits[id >>> 5] >>> (id & 31)) & 1);
}

/** Those that can be read, byte by byte, after `text`. */
export function readableTexts(
  grammar: CompiledGrammar,
  { texts, trie }: Texts,
  text: string,
): string[] {
  const masks = new TokenMasks(trie);
  return texts.filter((next) => {
    try {
      matcherAfter(grammar, masks, text + next);
      return true;
    } catch {
      return false;
    }
  });
}
