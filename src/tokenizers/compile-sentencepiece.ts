/**
 * Compiles SentencePiece BPE (Llama 2's scheme) from GGUF metadata. Any two neighbours whose texts
 * join to a piece may merge, best score first; all such pairs are listed here, once.
 *
 * Source: src/bpe_model.cc of google/sentencepiece; llm_tokenizer_spm of llama.cpp.
 */
import {
  HASH_BASE,
  hashBytes,
  MAX_PAIRS,
  mixHash,
  PairTable,
  PieceTable,
  slotCount,
} from "./hashing.ts";
import { badMetadata, type TokenizerMetadata } from "./tokenizer-metadata.ts";
import { LITERAL, NO_ID, TokenType, type VocabularyParts } from "./vocabulary.ts";

/** SentencePiece's space, U+2581, in UTF-8. Pieces are stored with a real space in its place. */
const SPACE = [0xe2, 0x96, 0x81] as const;

type SentencePieceParts = Omit<VocabularyParts, "bosId" | "eosId" | "unkId" | "padId" | "eogIds">;

/** @throws PronkError "bad_format" naming the key. */
export function compileSentencePiece(metadata: TokenizerMetadata): SentencePieceParts {
  const { scores, bosId } = metadata;
  if (scores === undefined) throw badMetadata("scores", "missing");
  const invalid = scores.findIndex(Number.isNaN);
  if (invalid >= 0) throw badMetadata("scores", `token ${invalid} has none`);
  const { bytes, offsets, types, byteTokens } = unescapePieces(metadata);
  const vocab = types.length;

  const pieces = new PieceTable(bytes, offsets, new Uint32Array(slotCount(vocab)));
  for (let id = 0; id < vocab; id++) {
    const start = offsets[id]!;
    const end = offsets[id + 1]!;
    if (start === end || !isMergeable(types[id]!)) continue;
    pieces.add(id, mixHash(hashBytes(bytes, start, end)));
  }
  return {
    kind: "sentencepiece",
    pattern: "gpt-2",
    addBos: metadata.addBos ?? bosId !== undefined,
    addEos: metadata.addEos ?? false,
    addSpacePrefix: metadata.addSpacePrefix ?? true,
    ignoreMerges: false,
    wordwise: isWordwise(bytes, offsets, types),
    bytes,
    offsets,
    types,
    pieceSlots: pieces.slots,
    byteTokens,
    ...listPairs(pieces, bytes, offsets, types, scores),
  };
}

function isMergeable(type: number): boolean {
  return type === TokenType.normal || type === TokenType.unused;
}

/** What each token adds to a text: spaces for U+2581, one byte for <0x0A>. */
function unescapePieces({
  tokens,
  types: tokenTypes,
}: TokenizerMetadata): Pick<VocabularyParts, "bytes" | "offsets" | "types" | "byteTokens"> {
  const vocab = tokens.length;
  const types = tokenTypes.slice();
  const offsets = new Uint32Array(vocab + 1);
  const byteTokens = new Uint32Array(256).fill(NO_ID);
  // Old converters gave the byte tokens no type of their own.
  const typed = types.includes(TokenType.byte);
  const out = new Uint8Array(tokens.bytes.length);
  let at = 0;
  for (let id = 0; id < vocab; id++) {
    const start = tokens.offsets[id]!;
    const end = tokens.offsets[id + 1]!;
    const type = types[id]!;
    const byte = type === TokenType.byte || !typed ? parseByte(tokens.bytes, start, end) : -1;
    if (byte >= 0 && (type === TokenType.byte || type === TokenType.normal)) {
      types[id] = TokenType.byte;
      byteTokens[byte] = id;
      out[at++] = byte;
    } else if (type === TokenType.byte) {
      throw badMetadata("tokens", `token ${id} is a byte, but not spelled <0x00> to <0xFF>`);
    } else if (isMergeable(type) && !tokens.bytes.subarray(start, end).includes(0x20)) {
      at = unescapeSpaces(tokens.bytes, start, end, out, at);
    } else {
      // Not reachable by merges: a text's spaces become U+2581 before them.
      out.set(tokens.bytes.subarray(start, end), at);
      at += end - start;
      types[id] = type | LITERAL;
    }
    offsets[id + 1] = at;
  }
  return { bytes: out.slice(0, at), offsets, types, byteTokens };
}

function unescapeSpaces(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let to = at;
  for (let i = start; i < end; i++) {
    const found = bytes[i] === SPACE[0] && bytes[i + 1] === SPACE[1] && bytes[i + 2] === SPACE[2];
    if (found && i + 2 < end) {
      out[to++] = 0x20;
      i += 2;
    } else {
      out[to++] = bytes[i]!;
    }
  }
  return to;
}

/** The byte that "<0x0A>" names, or -1. */
function parseByte(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 6 || bytes[start] !== 0x3c) return -1;
  const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(String.fromCharCode(...bytes.subarray(start, end)));
  return match === null ? -1 : Number.parseInt(match[1]!, 16);
}

/** Whether no piece has a space behind something else, so that no merge crosses a word's start. */
function isWordwise(bytes: Uint8Array, offsets: Uint32Array, types: Uint8Array): boolean {
  for (let id = 0; id < types.length; id++) {
    if (!isMergeable(types[id]!)) continue;
    for (let i = offsets[id]! + 1; i < offsets[id + 1]!; i++) {
      if (bytes[i] === 0x20 && bytes[i - 1] !== 0x20) return false;
    }
  }
  return true;
}

type Merges = Pick<
  VocabularyParts,
  "extraSymbols" | "left" | "right" | "merged" | "ranks" | "pairSlots"
>;

/** Every (left, right) of symbols that joins to a piece, with the rank of that piece's score. */
function listPairs(
  pieces: PieceTable,
  bytes: Uint8Array,
  offsets: Uint32Array,
  types: Uint8Array,
  scores: Float32Array,
): Merges {
  const lister = new PairLister(pieces, bytes, offsets);
  const rankOf = scoreRanks(scores, types);
  for (let id = 0; id < types.length; id++) {
    if (!isMergeable(types[id]!)) continue;
    // Single characters are the only symbols that no merge makes.
    const start = offsets[id]!;
    if (offsets[id + 1]! - start <= characterBytes(bytes[start] ?? 0)) continue;
    lister.addSplits(id, rankOf(scores[id]!));
  }
  return lister.build();
}

class PairLister {
  readonly #pieces: PieceTable;
  readonly #bytes: Uint8Array;
  readonly #offsets: Uint32Array;
  /** At most one split before each byte. */
  readonly #left: Uint32Array;
  readonly #right: Uint32Array;
  readonly #merged: Uint32Array;
  readonly #ranks: Uint32Array;
  readonly #prefixHashes: Int32Array;
  readonly #extraSymbols: number[] = [];
  readonly #extraIds = new Map<number, number>();
  #count = 0;

  constructor(pieces: PieceTable, bytes: Uint8Array, offsets: Uint32Array) {
    this.#pieces = pieces;
    this.#bytes = bytes;
    this.#offsets = offsets;
    this.#left = new Uint32Array(bytes.length);
    this.#right = new Uint32Array(bytes.length);
    this.#merged = new Uint32Array(bytes.length);
    this.#ranks = new Uint32Array(bytes.length);
    this.#prefixHashes = new Int32Array(maxLength(offsets) + 1);
  }

  /** Every way to make this piece of two symbols. */
  addSplits(id: number, rank: number): void {
    const bytes = this.#bytes;
    const hashes = this.#prefixHashes;
    const start = this.#offsets[id]!;
    const end = this.#offsets[id + 1]!;
    let whole = 0;
    for (let i = start; i < end; i++) {
      whole = hashBytes(bytes, i, i + 1, whole);
      hashes[i - start + 1] = whole;
    }
    // From the last split back, so that the power of the base grows by one factor a byte. The
    // hash of a suffix is the whole's, less the prefix's moved up by the suffix's length.
    let power = 1;
    for (let split = end - 1; split > start; split--) {
      power = Math.imul(power, HASH_BASE);
      if ((bytes[split]! & 0xc0) === 0x80) continue;
      const prefix = hashes[split - start]!;
      const left = this.#symbol(start, split, mixHash(prefix));
      if (left < 0) continue;
      const right = this.#symbol(split, end, mixHash((whole - Math.imul(prefix, power)) | 0));
      if (right < 0) continue;
      const k = this.#count++;
      this.#left[k] = left;
      this.#right[k] = right;
      this.#merged[k] = id;
      this.#ranks[k] = rank;
    }
  }

  /** A piece, or a single character that is none; -1 for other parts. */
  #symbol(start: number, end: number, hash: number): number {
    const bytes = this.#bytes;
    const id = this.#pieces.find(bytes, start, end, hash);
    if (id >= 0 || characterBytes(bytes[start]!) < end - start) return id;
    const code = codePointAt(bytes, start, end);
    let extra = this.#extraIds.get(code);
    if (extra === undefined) {
      extra = this.#offsets.length - 1 + this.#extraSymbols.push(code) - 1;
      this.#extraIds.set(code, extra);
    }
    return extra;
  }

  build(): Merges {
    const count = this.#count;
    if (count > MAX_PAIRS) throw badMetadata("tokens", `${count} merges`);
    const left = this.#left.slice(0, count);
    const right = this.#right.slice(0, count);
    const pairs = new PairTable(left, right, new Uint32Array(slotCount(count)));
    for (let k = 0; k < count; k++) pairs.add(k);
    return {
      extraSymbols: Uint32Array.from(this.#extraSymbols),
      left,
      right,
      merged: this.#merged.slice(0, count),
      ranks: this.#ranks.slice(0, count),
      pairSlots: pairs.slots,
    };
  }
}

/** Equal scores have equal ranks: then the leftmost pair merges first. */
function scoreRanks(scores: Float32Array, types: Uint8Array): (score: number) => number {
  const used = scores.filter((_, id) => isMergeable(types[id]!)).sort();
  let distinct = 0;
  for (let i = 0; i < used.length; i++) {
    if (i === 0 || used[i] !== used[i - 1]) used[distinct++] = used[i]!;
  }
  return (score) => {
    let low = 0;
    let high = distinct - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (used[middle]! < score) low = middle + 1;
      else high = middle;
    }
    return distinct - 1 - low;
  };
}

function maxLength(offsets: Uint32Array): number {
  let max = 0;
  for (let i = 1; i < offsets.length; i++) max = Math.max(max, offsets[i]! - offsets[i - 1]!);
  return max;
}

/** Bytes of the UTF-8 character that begins with this byte. */
function characterBytes(first: number): number {
  return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function codePointAt(bytes: Uint8Array, start: number, end: number): number {
  return new TextDecoder().decode(bytes.subarray(start, end)).codePointAt(0) ?? 0xfffd;
}
