/** The vocabulary as a tree. */
import { expect, test } from "vitest";
import { buildTokenTrie, type TokenTrie } from "../../../src/grammar/token-trie.ts";
import { joinTexts } from "../../support/join-texts.ts";
import { chanceOf } from "../../support/random-schemas.ts";

/** Every text of the tree with its tokens, in the tree's order; checks that each node's end is where its subtree ends. */
function textsOf({ bytes, ends, firsts, tokens }: TokenTrie): [text: string, ids: number[]][] {
  const texts: [string, number[]][] = [];
  const visit = (node: number, text: string): void => {
    const ids = [...tokens.subarray(firsts[node], firsts[node + 1])];
    if (ids.length > 0) texts.push([text, ids]);
    let child = node + 1;
    let last = -1;
    while (child < ends[node]) {
      expect(bytes[child]).toBeGreaterThan(last);
      last = bytes[child];
      visit(child, text + String.fromCharCode(last));
      child = ends[child];
    }
    expect(child).toBe(ends[node]);
  };
  visit(0, "");
  expect(ends[0]).toBe(bytes.length);
  return texts;
}

/** The same by the shortest reasoning there is. */
function expected(texts: readonly Uint8Array[], leftOut: readonly number[]) {
  const ids = new Map<string, number[]>();
  for (const [id, bytes] of texts.entries()) {
    if (bytes.length === 0 || leftOut.includes(id)) continue;
    const text = String.fromCharCode(...bytes);
    ids.set(text, [...(ids.get(text) ?? []), id]);
  }
  return [...ids].sort(([a], [b]) => (a < b ? -1 : 1));
}

test("a tree has every token at its text, in the order of texts, those with one text by their ids", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const chance = chanceOf(seed);
    // Few bytes, so that texts begin alike, are beginnings of others, or are the same; 0 and 255 are bytes, too.
    const bytes = chance.pick([[97], [0, 97], [0, 1, 255], [...Array(256).keys()]]);
    const longest = chance.pick([1, 3, 5, 9, 40]);
    const texts = Array.from({ length: chance.below(400) }, () =>
      Uint8Array.from({ length: chance.below(longest + 1) }, () => chance.pick(bytes)),
    );
    const leftOut = [...texts.keys()].filter(() => chance.is(0.05));
    const trie = buildTokenTrie(joinTexts(texts), leftOut);
    expect(trie.vocab).toBe(texts.length);
    expect(textsOf(trie)).toEqual(expected(texts, leftOut));
  }
});

test("of no tokens there is the root alone", () => {
  const { bytes, ends, firsts, tokens } = buildTokenTrie(joinTexts([]));
  expect([[...bytes], [...ends], [...firsts], [...tokens]]).toEqual([[0], [1], [0, 0], []]);
});
