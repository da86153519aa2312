/**
 * Reads a tiktoken file, a line of base64 and a rank for each token, and compiles it. It has no
 * merges: any two neighbours whose bytes join to a token may merge, the lowest rank first.
 *
 * Source: load_tiktoken_bpe() and _byte_pair_merge() in openai/tiktoken.
 */
import { PronkError } from "../errors.ts";
import { hashBytes, mixHash, PieceTable, slotCount } from "./hashing.ts";
import { PairLister } from "./pair-lister.ts";
import {
  LITERAL,
  MAX_VOCAB,
  NO_ID,
  TokenType,
  type VocabularyParts,
  type WordPattern,
} from "./vocabulary.ts";

/** Longer tokens are unknown in practice (Llama 3's longest has 128 bytes). */
const MAX_TOKEN_BYTES = 4096;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const PADDING = 0x3d;

/** The six bits of each character of base64, or 64. */
const SIX_BITS = new Uint8Array(256).fill(64);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach(
  (character, value) => {
    SIX_BITS[character.charCodeAt(0)] = value;
  },
);

/** Token `rank` is bytes[offsets[rank], offsets[rank + 1]). */
interface Ranks {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
}

/**
 * Compiles the file's tokens and, behind them, special ones in their order: byte-level BPE in which
 * a word that is a token is that token.
 *
 * @throws PronkError "bad_format" naming the line.
 */
export function compileTiktoken(
  file: Uint8Array,
  special: readonly string[],
  pattern: WordPattern = "llama-3",
  name = "tokenizer.model",
): Omit<VocabularyParts, "bosId" | "eosId" | "padId" | "eogIds"> {
  const ranks = readRanks(file, name);
  const base = ranks.offsets.length - 1;
  const size = base + special.length;
  if (size > MAX_VOCAB) throw new PronkError("bad_format", `${name}: ${size} tokens`);
  const texts = special.map((text) => new TextEncoder().encode(text));
  const total = texts.reduce((sum, text) => sum + text.length, ranks.bytes.length);
  const bytes = new Uint8Array(total);
  bytes.set(ranks.bytes);
  const offsets = new Uint32Array(size + 1);
  offsets.set(ranks.offsets);
  texts.forEach((text, i) => {
    bytes.set(text, offsets[base + i]!);
    offsets[base + i + 1] = offsets[base + i]! + text.length;
  });
  const types = new Uint8Array(size).fill(TokenType.normal);
  types.fill(TokenType.control | LITERAL, base);

  const pieces = new PieceTable(bytes, offsets, new Uint32Array(slotCount(size)));
  const byteTokens = new Uint32Array(256).fill(NO_ID);
  for (let id = 0; id < base; id++) {
    const start = offsets[id]!;
    const end = offsets[id + 1]!;
    const hash = mixHash(hashBytes(bytes, start, end));
    if (pieces.find(bytes, start, end, hash) >= 0) {
      throw new PronkError("bad_format", `${name}: the token of rank ${id} is there twice`);
    }
    pieces.add(id, hash);
    if (end - start === 1) byteTokens[bytes[start]!] = id;
  }
  const lister = new PairLister(pieces, bytes.subarray(0, ranks.bytes.length), offsets, true);
  for (let id = 0; id < base; id++) {
    if (offsets[id + 1]! - offsets[id]! > 1) lister.addSplits(id, id);
  }
  return {
    kind: "byte-level",
    pattern,
    addBos: false,
    addEos: false,
    addSpacePrefix: false,
    ignoreMerges: true,
    wordwise: true,
    unkId: undefined,
    bytes,
    offsets,
    types,
    pieceSlots: pieces.slots,
    byteTokens,
    ...lister.build(),
  };
}

/** Lines may come in any order of their ranks, which are 0 to n - 1. */
function readRanks(file: Uint8Array, name: string): Ranks {
  const bad = (line: number, why: string): PronkError =>
    new PronkError("bad_format", `${name}: line ${line + 1}: ${why}`);
  // Base64 takes four characters for three bytes.
  const bytes = new Uint8Array(Math.ceil((file.length * 3) / 4));
  let starts = new Uint32Array(1024);
  let ranks = new Uint32Array(1024);
  let count = 0;
  let used = 0;
  for (let at = 0; at < file.length; ) {
    if (file[at] === NEWLINE || file[at] === RETURN) {
      at++;
      continue;
    }
    if (count === MAX_VOCAB) throw bad(count, `more than ${MAX_VOCAB} tokens`);
    if (count + 1 >= starts.length) {
      starts = grown(starts);
      ranks = grown(ranks);
    }
    const from = used;
    let buffer = 0;
    let bits = 0;
    for (; SIX_BITS[file[at]!]! < 64; at++) {
      buffer = ((buffer << 6) | SIX_BITS[file[at]!]!) & 0xfff;
      bits += 6;
      if (bits < 8) continue;
      bits -= 8;
      bytes[used++] = buffer >> bits;
    }
    while (file[at] === PADDING) at++;
    if (used === from || used - from > MAX_TOKEN_BYTES || file[at] !== SPACE) {
      throw bad(count, "not base64, a space and a rank");
    }
    let rank = 0;
    const digits = ++at;
    for (; at < file.length && file[at]! >= 0x30 && file[at]! <= 0x39; at++) {
      rank = Math.min(rank * 10 + file[at]! - 0x30, MAX_VOCAB);
    }
    const ends = at === file.length || file[at] === NEWLINE || file[at] === RETURN;
    if (at === digits || !ends) throw bad(count, "not base64, a space and a rank");
    starts[count] = from;
    ranks[count++] = rank;
    starts[count] = used;
  }
  if (count === 0) throw new PronkError("bad_format", `${name}: no ranks`);
  return sortByRank(bytes.subarray(0, used), starts, ranks.subarray(0, count), bad);
}

function sortByRank(
  bytes: Uint8Array,
  starts: Uint32Array,
  ranks: Uint32Array,
  bad: (line: number, why: string) => PronkError,
): Ranks {
  const lines = new Uint32Array(ranks.length).fill(NO_ID);
  ranks.forEach((rank, line) => {
    if (rank >= ranks.length) throw bad(line, `rank ${rank} of ${ranks.length} tokens`);
    if (lines[rank] !== NO_ID) throw bad(line, `rank ${rank} again`);
    lines[rank] = line;
  });
  const sorted = new Uint8Array(bytes.length);
  const offsets = new Uint32Array(ranks.length + 1);
  let to = 0;
  lines.forEach((line, rank) => {
    for (let at = starts[line]!; at < starts[line + 1]!; at++) sorted[to++] = bytes[at]!;
    offsets[rank + 1] = to;
  });
  return { bytes: sorted, offsets };
}

function grown(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(array.length * 2);
  copy.set(array);
  return copy;
}
