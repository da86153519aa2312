/**
 * The compiled tokenizer: what tokenizing needs, as typed arrays in one block of bytes that a pack
 * stores and that is viewed, not parsed.
 *
 * Layout: HEADER_WORDS u32, then the sections in the order of sectionsOf(), each padded to 4
 * bytes. Little-endian, as every runtime is.
 */
import { PronkError } from "../errors.ts";
import { MAX_PAIRS, MAX_PIECES, PAIR_MASK, PairTable, PIECE_MASK, PieceTable } from "./hashing.ts";

/** "pTok", and the version of this layout. */
const MAGIC = 0x6b6f5470;
const VERSION = 1;
const HEADER_WORDS = 20;

/** An id that does not exist. */
export const NO_ID = 0xffffffff;

/** More tokens than any model has (the largest have 262,144); bounds every table. */
export const MAX_VOCAB: number = 1 << 20;

/** Token types as in GGUF's tokenizer.ggml.token_type. */
export const TokenType = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

/** In `types`: the token is written as it is spelled, and no merge makes it. */
export const LITERAL = 0x80;

const ALL_BITS = -1;

/** How a tokenizer turns text into symbols. */
export type TokenizerKind = "byte-level" | "sentencepiece";
const KINDS: readonly TokenizerKind[] = ["byte-level", "sentencepiece"];

/** How byte-level BPE splits text into words. */
export type WordPattern = "gpt-2" | "smollm" | "llama-3";
const PATTERNS: readonly WordPattern[] = ["gpt-2", "smollm", "llama-3"];

const FLAGS = [
  "addBos",
  "addEos",
  "addSpacePrefix",
  "ignoreMerges",
  "wordwise",
  "spacePrefixOnce",
] as const;

/** What the compilers produce. */
export interface VocabularyParts {
  readonly kind: TokenizerKind;
  readonly pattern: WordPattern;
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** SentencePiece: a text begins with a space that is not in it. */
  readonly addSpacePrefix: boolean;
  /** The space is put where the text begins, unless it has one, and not behind special tokens too. */
  readonly spacePrefixOnce?: boolean;
  /** A word that is a piece is that token, whatever its merges would give. */
  readonly ignoreMerges: boolean;
  /** SentencePiece: no piece goes on after a space that follows text, so words are independent. */
  readonly wordwise: boolean;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly unkId: number | undefined;
  readonly padId: number | undefined;
  /** The bytes that token i adds to a text: bytes[offsets[i], offsets[i + 1]). */
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  /** A TokenType each, with LITERAL. */
  readonly types: Uint8Array;
  /** PieceTable of the tokens that are not literal. */
  readonly pieceSlots: Uint32Array;
  /** 256 ids, or NO_ID: a byte as a token. */
  readonly byteTokens: Uint32Array;
  /** Characters that only occur inside pieces; number i is symbol vocab + i. */
  readonly extraSymbols: Uint32Array;
  /** Ascending. */
  readonly eogIds: Uint32Array;
  /** Merge k turns the symbols (left[k], right[k]) into merged[k]. */
  readonly left: Uint32Array;
  readonly right: Uint32Array;
  readonly merged: Uint32Array;
  /** Rank of merge k, lowest first; empty when it is k. */
  readonly ranks: Uint32Array;
  /** PairTable of the merges. */
  readonly pairSlots: Uint32Array;
}

export interface Vocabulary extends VocabularyParts {
  readonly size: number;
  readonly pieces: PieceTable;
  readonly pairs: PairTable;
}

interface Sizes {
  readonly vocab: number;
  readonly pieceSlots: number;
  readonly extraSymbols: number;
  readonly eogIds: number;
  readonly pairs: number;
  readonly ranks: number;
  readonly pairSlots: number;
  readonly bytes: number;
}

const WORD_SECTIONS = [
  "offsets",
  "pieceSlots",
  "byteTokens",
  "extraSymbols",
  "eogIds",
  "left",
  "right",
  "merged",
  "ranks",
  "pairSlots",
] as const;

/** Words of each section of u32, in their order; `types` and `bytes` follow. */
function wordSections(sizes: Sizes): Record<(typeof WORD_SECTIONS)[number], number> {
  return {
    offsets: sizes.vocab + 1,
    pieceSlots: sizes.pieceSlots,
    byteTokens: 256,
    extraSymbols: sizes.extraSymbols,
    eogIds: sizes.eogIds,
    left: sizes.pairs,
    right: sizes.pairs,
    merged: sizes.pairs,
    ranks: sizes.ranks,
    pairSlots: sizes.pairSlots,
  };
}

/** Bytes of the whole block. */
function totalBytes(sizes: Sizes): number {
  const words = Object.values(wordSections(sizes)).reduce((sum, n) => sum + n, HEADER_WORDS);
  return words * 4 + padded(sizes.vocab) + padded(sizes.bytes);
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

/** The compiled form of a vocabulary. */
export function writeVocabulary(parts: VocabularyParts): Uint8Array {
  const sizes: Sizes = {
    vocab: parts.types.length,
    pieceSlots: parts.pieceSlots.length,
    extraSymbols: parts.extraSymbols.length,
    eogIds: parts.eogIds.length,
    pairs: parts.left.length,
    ranks: parts.ranks.length,
    pairSlots: parts.pairSlots.length,
    bytes: parts.bytes.length,
  };
  const block = new Uint8Array(totalBytes(sizes));
  const words = new Uint32Array(block.buffer);
  words.set([
    MAGIC,
    VERSION,
    KINDS.indexOf(parts.kind),
    PATTERNS.indexOf(parts.pattern),
    FLAGS.reduce((bits, name, i) => bits | (parts[name] ? 1 << i : 0), 0),
    ...[parts.bosId, parts.eosId, parts.unkId, parts.padId].map((id) => id ?? NO_ID),
    ...Object.values(sizes),
  ]);
  let at = HEADER_WORDS;
  for (const name of WORD_SECTIONS) {
    words.set(parts[name], at);
    at += parts[name].length;
  }
  block.set(parts.types, at * 4);
  block.set(parts.bytes, at * 4 + padded(sizes.vocab));
  return block;
}

/**
 * Views a compiled vocabulary; `block` must not change afterwards. Checks all of it: no id, offset
 * or slot can lead outside of its array, and every search ends. About 2 ms for 128,256 tokens.
 *
 * @throws PronkError "bad_format"; "unsupported" for another version of the layout.
 */
export function readVocabulary(block: Uint8Array): Vocabulary {
  const bad = (why: string): PronkError => new PronkError("bad_format", `tokenizer: ${why}`);
  if (block.length < HEADER_WORDS * 4) throw bad(`${block.length} bytes is too short`);
  // Views of u32 need alignment, which a slice of a larger file may lack.
  const aligned = block.byteOffset % 4 === 0 ? block : block.slice();
  const header = new Uint32Array(aligned.buffer, aligned.byteOffset, HEADER_WORDS);
  if (header[0] !== MAGIC) throw bad("not a compiled tokenizer");
  if (header[1] !== VERSION) {
    throw new PronkError("unsupported", `tokenizer: layout version ${header[1]}, not ${VERSION}`);
  }
  const [, , kindCode = 0, patternCode = 0, flags = 0, ...rest] = header;
  const [bosId = 0, eosId = 0, unkId = 0, padId = 0, ...counts] = rest;
  const [vocab = 0, pieceSlots = 0, extraSymbols = 0, eogIds = 0, ...more] = counts;
  const [pairs = 0, ranks = 0, pairSlots = 0, bytes = 0] = more;
  const sizes: Sizes = {
    vocab,
    pieceSlots,
    extraSymbols,
    eogIds,
    pairs,
    ranks,
    pairSlots,
    bytes,
  };
  const kind = KINDS[kindCode];
  const pattern = PATTERNS[patternCode];
  if (kind === undefined || pattern === undefined || flags >= 1 << FLAGS.length) {
    throw bad(`kind ${kindCode}, pattern ${patternCode}, flags ${flags}`);
  }
  // These bound the sum of totalBytes, so that it stays exact.
  if (vocab > MAX_VOCAB || pairs > MAX_PAIRS || vocab + extraSymbols > MAX_PIECES) {
    throw bad(`${vocab} tokens, ${pairs} merges, ${extraSymbols} more symbols`);
  }
  if (totalBytes(sizes) !== block.length) {
    throw bad(`${block.length} bytes, but its header describes ${totalBytes(sizes)}`);
  }

  const views: Record<string, Uint32Array> = {};
  let at = HEADER_WORDS * 4;
  for (const [name, length] of Object.entries(wordSections(sizes))) {
    views[name] = new Uint32Array(aligned.buffer, aligned.byteOffset + at, length);
    at += length * 4;
  }
  const words = views as Record<(typeof WORD_SECTIONS)[number], Uint32Array>;
  const types = aligned.subarray(at, at + vocab);
  at += padded(vocab);
  const pieceBytes = aligned.subarray(at, at + bytes);

  const optional = (id: number): number | undefined => (id === NO_ID ? undefined : id);
  const flag = (name: (typeof FLAGS)[number]): boolean =>
    ((flags >> FLAGS.indexOf(name)) & 1) === 1;
  const vocabulary: Vocabulary = {
    kind,
    pattern,
    addBos: flag("addBos"),
    addEos: flag("addEos"),
    addSpacePrefix: flag("addSpacePrefix"),
    spacePrefixOnce: flag("spacePrefixOnce"),
    ignoreMerges: flag("ignoreMerges"),
    wordwise: flag("wordwise"),
    bosId: optional(bosId),
    eosId: optional(eosId),
    unkId: optional(unkId),
    padId: optional(padId),
    ...words,
    types,
    bytes: pieceBytes,
    size: vocab,
    pieces: new PieceTable(pieceBytes, words.offsets, words.pieceSlots),
    pairs: new PairTable(words.left, words.right, words.pairSlots),
  };
  const fault = findFault(vocabulary);
  if (fault !== undefined) throw bad(fault);
  return vocabulary;
}

/** What is wrong inside the sections, or undefined. */
function findFault(v: Vocabulary): string | undefined {
  const symbols = v.size + v.extraSymbols.length;
  const pairs = v.left.length;
  const ids = [v.bosId, v.eosId, v.unkId, v.padId];
  if (ids.some((id) => id !== undefined && id >= v.size)) return "special id outside its tokens";
  if ((v.addBos && v.bosId === undefined) || (v.addEos && v.eosId === undefined)) {
    return "adds a BOS or EOS that it does not have";
  }
  if (!isPowerOfTwo(v.pieceSlots.length) || !isPowerOfTwo(v.pairSlots.length)) {
    return "table size is no power of two";
  }
  if (v.ranks.length !== 0 && v.ranks.length !== pairs) return "ranks and merges differ in number";
  if (v.offsets[0] !== 0 || v.offsets[v.size] !== v.bytes.length || !isAscending(v.offsets)) {
    return "offsets do not ascend over the bytes of its tokens";
  }
  if (!hasWholeBytes(v)) return "a byte token that is not one byte";
  if (!v.byteTokens.every((id) => id < v.size || id === NO_ID)) return "byte token outside";
  const merges: readonly [Uint32Array, number][] = [
    [v.left, symbols],
    [v.right, symbols],
    [v.merged, v.size],
  ];
  if (!merges.every(([ids, limit]) => areBelow(ids, ALL_BITS, limit))) {
    return "merge of symbols that it does not have";
  }
  // A slot holds a number plus one; searches end at a free one.
  if (!areBelow(v.pieceSlots, PIECE_MASK, v.size + 1) || !v.pieceSlots.includes(0)) {
    return "bad piece table";
  }
  if (!areBelow(v.pairSlots, PAIR_MASK, pairs + 1) || !v.pairSlots.includes(0)) {
    return "bad merge table";
  }
  if (!areBelow(v.eogIds, ALL_BITS, v.size)) return "end-of-turn id outside its tokens";
  if (!areBelow(v.extraSymbols, ALL_BITS, 0x110000)) return "symbol outside Unicode";
  return undefined;
}

/** Tokens of single bytes are spelled by their byte. */
function hasWholeBytes({ types, offsets }: Vocabulary): boolean {
  for (let id = 0; id < types.length; id++) {
    if (types[id] === TokenType.byte && offsets[id + 1]! - offsets[id]! !== 1) return false;
  }
  return true;
}

function isPowerOfTwo(n: number): boolean {
  return n > 0 && (n & (n - 1)) === 0;
}

function isAscending(values: Uint32Array): boolean {
  for (let i = 1; i < values.length; i++) if (values[i]! < values[i - 1]!) return false;
  return true;
}

/** One loop for all sections: it is compiled once, and most of loading is spent in it. */
function areBelow(values: Uint32Array, mask: number, limit: number): boolean {
  for (let i = 0; i < values.length; i++) if ((values[i]! & mask) >>> 0 >= limit) return false;
  return true;
}
