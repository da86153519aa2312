/** Lists the pairs of symbols that join to a piece, for vocabularies that come without merges. */
import {
  HASH_BASE,
  hashBytes,
  MAX_PAIRS,
  mixHash,
  PairTable,
  type PieceTable,
  slotCount,
} from "./hashing.ts";
import { badMetadata } from "./tokenizer-metadata.ts";
import type { VocabularyParts } from "./vocabulary.ts";

export type ListedMerges = Pick<
  VocabularyParts,
  "extraSymbols" | "left" | "right" | "merged" | "ranks" | "pairSlots"
>;

export class PairLister {
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
  readonly #bytewise: boolean;
  #count = 0;

  /** Symbols are characters and what they join to, or of `bytewise` vocabularies bytes. */
  constructor(pieces: PieceTable, bytes: Uint8Array, offsets: Uint32Array, bytewise = false) {
    this.#bytewise = bytewise;
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
      if (!this.#bytewise && (bytes[split]! & 0xc0) === 0x80) continue;
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
    if (id >= 0 || this.#bytewise || characterBytes(bytes[start]!) < end - start) return id;
    const code = codePointAt(bytes, start, end);
    let extra = this.#extraIds.get(code);
    if (extra === undefined) {
      extra = this.#offsets.length - 1 + this.#extraSymbols.push(code) - 1;
      this.#extraIds.set(code, extra);
    }
    return extra;
  }

  build(): ListedMerges {
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

function maxLength(offsets: Uint32Array): number {
  let max = 0;
  for (let i = 1; i < offsets.length; i++) max = Math.max(max, offsets[i]! - offsets[i - 1]!);
  return max;
}

/** Bytes of the UTF-8 character that begins with this byte. */
export function characterBytes(first: number): number {
  return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function codePointAt(bytes: Uint8Array, start: number, end: number): number {
  return new TextDecoder().decode(bytes.subarray(start, end)).codePointAt(0) ?? 0xfffd;
}
