/**
 * The characters that a vocabulary can write from wherever a text may stand. A grammar of these alone is never stuck: what
 * leads nowhere is pruned, so that a character comes next, and there is a token for it or for its next byte.
 */
import { type CodePointRanges, LAST_CODE_POINT, normalizeRanges } from "./expression.ts";
import type { TokenTrie } from "./token-trie.ts";

/** @returns undefined for all characters, as vocabularies with a token for every byte have it. */
export function writableCharacters(trie: TokenTrie): CodePointRanges | undefined {
  const { bytes, ends, firsts } = trie;
  const isToken = new Uint8Array(256);
  for (let node = 1; node < bytes.length; node = ends[node]!) {
    if (firsts[node]! < firsts[node + 1]!) isToken[bytes[node]!] = 1;
  }
  if (isToken.every((known, byte) => known === 1 || !isUtf8(byte))) return undefined;
  const isByte = (byte: number): boolean => isToken[byte] === 1;
  const ranges = LEADS.filter(([lead]) => isByte(lead)).map(
    ([, first, last]) => [first, last] as const,
  );
  // Where some of the later bytes are missing, what has several is left out: ranges would be thousands.
  const hasLater = Array.from({ length: 0x40 }, (_, i) => 0x80 + i).every(isByte);
  const written = hasLater ? ranges : ranges.filter(([first]) => first < 0x80);
  const whole = [...wholeCharacters(trie)].map((code) => [code, code] as const);
  return normalizeRanges([...written, ...whole]);
}

/** First bytes, and the characters that begin with each. */
const LEADS: readonly (readonly [number, number, number])[] = Array.from(
  { length: 0xf5 },
  (_, lead) => {
    if (lead < 0x80) return [[lead, lead, lead] as const];
    if (lead < 0xc2) return [];
    const later = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    const first = (lead & (0x3f >> later)) << (6 * later);
    const last = first + 64 ** later - 1;
    const least = [0, 0x80, 0x800, 0x10000][later]!;
    return [[lead, Math.max(first, least), Math.min(last, LAST_CODE_POINT)] as const];
  },
).flat();

/** Bytes that occur in UTF-8. */
function isUtf8(byte: number): boolean {
  return byte < 0xc0 || (byte > 0xc1 && byte < 0xf5);
}

/** Those that are a token; none where a token ends within a character, because what is begun may then not be ended. */
function wholeCharacters(trie: TokenTrie): Set<number> {
  const whole = new Set<number>();
  const { ends, bytes, firsts } = trie;
  const isEnd = (node: number): boolean => firsts[node]! < firsts[node + 1]!;
  /** @param left bytes that a character still has @param code what is known of it; -1 within a longer text */
  const walk = (from: number, to: number, left: number, code: number): boolean => {
    for (let node = from; node < to; node = ends[node]!) {
      const byte = bytes[node]!;
      let [rest, value] = [left - 1, code < 0 ? -1 : (code << 6) | (byte & 0x3f)];
      if (left === 0) {
        rest = byte < 0x80 ? 0 : byte < 0xc0 ? -1 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        value = code < 0 ? -1 : byte < 0x80 ? byte : byte & (0x3f >> rest);
        if (rest < 0) return false;
      }
      if (isEnd(node)) {
        if (rest > 0) return false;
        if (value >= 0) whole.add(value);
      }
      if (!walk(node + 1, ends[node]!, rest, rest === 0 ? -1 : value)) return false;
    }
    return true;
  };
  return walk(1, bytes.length, 0, 0) ? whole : new Set();
}
