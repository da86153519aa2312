/** The tokens of a vocabulary by their bytes, as a tree in arrays: a grammar is walked along it once for all. */
import type { TokenBytes } from "../tokenizers/tokenizer.ts";

export interface TokenTrie {
  readonly vocab: number;
  /** Nodes in the order of their texts, the root first: a node's children follow it. */
  readonly bytes: Uint8Array;
  /** The first node that is not below node n. */
  readonly ends: Uint32Array;
  /** Tokens that end at node n: tokens[firsts[n], firsts[n + 1]). */
  readonly firsts: Uint32Array;
  readonly tokens: Uint32Array;
  /** Of a node that is and leads to PLAIN bytes only, how deep it lies, from 1 on; else 0. */
  readonly plain: Uint8Array;
}

/** Bytes that stand for themselves in a JSON text and are characters: ASCII without controls, quote and backslash. */
export const PLAIN: readonly number[] = Array.from(
  { length: 0x7f - 0x20 },
  (_, i) => 0x20 + i,
).filter((byte) => byte !== 0x22 && byte !== 0x5c);

/** Of a token's number in what is sorted: tokenizers have 2^20 tokens at most (MAX_VOCAB). */
const ID_BITS = 20;
const ID_MASK = 2 ** ID_BITS - 1;

/** Bytes that the first sort goes by, and each later one. */
const FIRST_BYTES = 4;
const MORE_BYTES = 2;

/**
 * 10 bytes a node, some 2 nodes a token. It is built within a request, by code that the engine has not optimized yet:
 * so the engine's own sort does most of it, and the loops are flat.
 *
 * @param leftOut tokens that no grammar may give, such as control tokens; those without a text are left out, too
 */
export function buildTokenTrie(texts: TokenBytes, leftOut: readonly number[] = []): TokenTrie {
  return layOut(sortByText(texts, leftOut), texts);
}

/**
 * Ids of tokens by their bytes, equal texts in the order of ids. What is sorted are numbers of 64 bits: the first bytes
 * and the id; then, of those that this leaves tied, the number of the tie, the next bytes and the id. A byte takes 9
 * bits: 0 is the end of a text.
 */
function sortByText(texts: TokenBytes, leftOut: readonly number[]): Uint32Array {
  const vocab = texts.offsets.length - 1;
  // Of number i the lower half, then the upper one. Signed: larger integers are objects to code that is not optimized.
  const words = new Int32Array(2 * vocab);
  let open = firstNumbers(texts, leftOut, words);
  const sorted = new Uint32Array(open);
  // The places in `sorted` of the numbers that are being sorted.
  const places = new Uint32Array(open);
  for (let i = 0; i < open; i++) places[i] = i;
  for (let depth = FIRST_BYTES; open > 0; depth += MORE_BYTES) {
    new BigUint64Array(words.buffer, 0, open).sort();
    open = takeSorted(texts, depth, open, words, places, sorted);
  }
  return sorted;
}

/** @returns how many tokens there are. */
function firstNumbers(
  { offsets, bytes }: TokenBytes,
  leftOut: readonly number[],
  words: Int32Array,
): number {
  const vocab = offsets.length - 1;
  const isOut = new Uint8Array(vocab);
  for (let i = 0; i < leftOut.length; i++) isOut[leftOut[i]!] = 1;
  let count = 0;
  for (let id = 0; id < vocab; id++) {
    const at = offsets[id]!;
    const end = offsets[id + 1]!;
    if (at === end || isOut[id] === 1) continue;
    const first = bytes[at]! + 1;
    const second = at + 1 < end ? bytes[at + 1]! + 1 : 0;
    const third = at + 2 < end ? bytes[at + 2]! + 1 : 0;
    const fourth = at + 3 < end ? bytes[at + 3]! + 1 : 0;
    words[2 * count] = (fourth << 28) | id;
    words[2 * count + 1] = (first << 23) | (second << 14) | (third << 5) | (fourth >> 4);
    count++;
  }
  return count;
}

/**
 * Puts ids to their places, and makes the numbers by which those that are still tied are sorted next.
 *
 * @returns how many these are.
 */
function takeSorted(
  { offsets, bytes }: TokenBytes,
  depth: number,
  count: number,
  words: Int32Array,
  places: Uint32Array,
  sorted: Uint32Array,
): number {
  let open = 0;
  let tie = 0;
  let tiesBefore = false;
  for (let i = 0; i < count; i++) {
    const low = words[2 * i]!;
    const id = low & ID_MASK;
    const at = offsets[id]! + depth;
    const end = offsets[id + 1]!;
    sorted[places[i]!] = id;
    const tiesNext =
      i + 1 < count &&
      words[2 * i + 3] === words[2 * i + 1] &&
      (words[2 * i + 2]! ^ low) >>> ID_BITS === 0;
    // Tied texts have the same bytes so far: all have ended, or none before this depth.
    if ((tiesNext || tiesBefore) && at <= end) {
      const first = at < end ? bytes[at]! + 1 : 0;
      const second = at + 1 < end ? bytes[at + 1]! + 1 : 0;
      // Written over what was read already.
      places[open] = places[i]!;
      words[2 * open] = (second << 26) | id;
      words[2 * open + 1] = (tie << 12) | (first << 3) | (second >> 6);
      open++;
    }
    if (!tiesNext) tie++;
    tiesBefore = tiesNext;
  }
  return open;
}

function layOut(tokens: Uint32Array, { offsets, bytes: all }: TokenBytes): TokenTrie {
  // What a text has in common with the one before says which nodes are new.
  const shared = new Uint32Array(tokens.length);
  let nodes = 1;
  let deepest = 0;
  let [before, beforeEnd] = [0, 0];
  for (let i = 0; i < tokens.length; i++) {
    const from = offsets[tokens[i]!]!;
    const to = offsets[tokens[i]! + 1]!;
    const most = to - from < beforeEnd - before ? to - from : beforeEnd - before;
    let common = 0;
    while (common < most && all[from + common] === all[before + common]) common++;
    shared[i] = common;
    nodes += to - from - common;
    if (to - from > deepest) deepest = to - from;
    before = from;
    beforeEnd = to;
  }
  const bytes = new Uint8Array(nodes);
  const ends = new Uint32Array(nodes);
  const firsts = new Uint32Array(nodes + 1);
  const plain = new Uint8Array(nodes);
  const isPlain = new Uint8Array(256);
  for (const byte of PLAIN) isPlain[byte] = 1;
  // The nodes of the last text, by their depth.
  const path = new Uint32Array(deepest + 1);
  let depth = 0;
  let node = 1;
  for (let i = 0; i < tokens.length; i++) {
    const to = offsets[tokens[i]! + 1]!;
    const common = shared[i]!;
    for (; depth > common; depth--) ends[path[depth]!] = node;
    for (let at = offsets[tokens[i]!]! + common; at < to; at++) {
      const byte = all[at]!;
      bytes[node] = byte;
      firsts[node] = i;
      path[++depth] = node;
      if (isPlain[byte] === 1 && depth < 256) plain[node] = depth;
      else for (let up = depth - 1; up > 0 && plain[path[up]!]! > 0; up--) plain[path[up]!] = 0;
      node++;
    }
  }
  for (; depth >= 0; depth--) ends[path[depth]!] = node;
  firsts[node] = tokens.length;
  return { vocab: offsets.length - 1, bytes, ends, firsts, tokens, plain };
}
