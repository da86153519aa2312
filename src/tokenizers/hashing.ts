/**
 * Open-addressing hash tables over typed arrays: byte strings to ids, and pairs of ids to entries.
 *
 * A slot is 0 when free, else an entry's number plus one with some bits of its hash above it, so
 * that most misses touch nothing but the slot. Tables are at most two thirds full.
 */
import { PronkError } from "../errors.ts";

/**
 * Most slots that adding an entry looks at. Tables of real vocabularies stay below 200; strings
 * chosen to collide would make building quadratic.
 */
const MAX_PROBES = 1024;

/** Multiplier of the byte hash; odd, so that it has powers in both directions. */
export const HASH_BASE = 0x01000193;

/** Slots for so many entries: a power of two. */
export function slotCount(entries: number): number {
  let slots = 16;
  while (slots * 2 < entries * 3) slots *= 2;
  return slots;
}

/**
 * Takes bytes[start, end) into a hash, which starts at 0: a polynomial in HASH_BASE, so that the
 * hash of a part follows from those of the whole and the rest. Finish it with mixHash.
 */
export function hashBytes(bytes: Uint8Array, start: number, end: number, hash = 0): number {
  let h = hash;
  for (let i = start; i < end; i++) h = (Math.imul(h, HASH_BASE) + bytes[i]! + 1) | 0;
  return h;
}

/** Spreads a hash over all 32 bits (finalizer of MurmurHash3). */
export function mixHash(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function hashPair(left: number, right: number): number {
  return mixHash(Math.imul(left, 0x9e3779b1) ^ Math.imul(right + 0x7f4a7c15, 0x85ebca77));
}

/** Bits of a slot that hold the entry's number plus one: up to 2^21 pieces, 2^22 pairs. */
const PIECE_BITS = 21;
const PAIR_BITS = 22;
export const PIECE_MASK: number = 2 ** PIECE_BITS - 1;
export const PAIR_MASK: number = 2 ** PAIR_BITS - 1;

export const MAX_PIECES: number = PIECE_MASK - 1;
export const MAX_PAIRS: number = PAIR_MASK - 1;

function tooManyProbes(what: string): PronkError {
  return new PronkError("bad_format", `tokenizer: more than ${MAX_PROBES} ${what} collide`);
}

/** Finds the pieces of a vocabulary by their bytes. */
export class PieceTable {
  readonly slots: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #offsets: Uint32Array;

  /** Piece i is bytes[offsets[i], offsets[i + 1]); the slots are zeros, or another table's. */
  constructor(bytes: Uint8Array, offsets: Uint32Array, slots: Uint32Array) {
    this.#bytes = bytes;
    this.#offsets = offsets;
    this.slots = slots;
  }

  /** The id of the piece that equals bytes[start, end), whose finished hash this is; or -1. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const { slots } = this;
    const offsets = this.#offsets;
    const mask = slots.length - 1;
    for (let i = hash & mask; slots[i] !== 0; i = (i + 1) & mask) {
      const slot = slots[i]!;
      if ((slot ^ hash) >>> PIECE_BITS !== 0) continue;
      const id = (slot & PIECE_MASK) - 1;
      const from = offsets[id]!;
      if (offsets[id + 1]! - from === end - start && this.#equals(from, bytes, start, end)) {
        return id;
      }
    }
    return -1;
  }

  /** Adds a piece; it takes the place of an equal one. */
  add(id: number, hash: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    const start = this.#offsets[id]!;
    const end = this.#offsets[id + 1]!;
    let i = hash & mask;
    for (let probes = 0; slots[i] !== 0; i = (i + 1) & mask) {
      if (++probes > MAX_PROBES) throw tooManyProbes("tokens");
      const slot = slots[i]!;
      if ((slot ^ hash) >>> PIECE_BITS !== 0) continue;
      const other = (slot & PIECE_MASK) - 1;
      const from = this.#offsets[other]!;
      if (this.#offsets[other + 1]! - from === end - start) {
        if (this.#equals(from, this.#bytes, start, end)) break;
      }
    }
    slots[i] = (hash & ~PIECE_MASK) | (id + 1);
  }

  #equals(from: number, bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.#bytes;
    for (let a = from, b = start; b < end; a++, b++) if (own[a] !== bytes[b]) return false;
    return true;
  }
}

/** Finds the entry (left[k], right[k]). */
export class PairTable {
  readonly slots: Uint32Array;
  readonly #left: Uint32Array;
  readonly #right: Uint32Array;

  constructor(left: Uint32Array, right: Uint32Array, slots: Uint32Array) {
    this.#left = left;
    this.#right = right;
    this.slots = slots;
  }

  /** The entry's number, or -1. */
  find(left: number, right: number): number {
    const { slots } = this;
    const mask = slots.length - 1;
    const hash = hashPair(left, right);
    for (let i = hash & mask; slots[i] !== 0; i = (i + 1) & mask) {
      const slot = slots[i]!;
      if ((slot ^ hash) >>> PAIR_BITS !== 0) continue;
      const k = (slot & PAIR_MASK) - 1;
      if (this.#left[k] === left && this.#right[k] === right) return k;
    }
    return -1;
  }

  /** Adds entry k; of equal pairs the first stays. */
  add(k: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    const left = this.#left[k]!;
    const right = this.#right[k]!;
    const hash = hashPair(left, right);
    let i = hash & mask;
    for (let probes = 0; slots[i] !== 0; i = (i + 1) & mask) {
      if (++probes > MAX_PROBES) throw tooManyProbes("merges");
      const slot = slots[i]!;
      if ((slot ^ hash) >>> PAIR_BITS !== 0) continue;
      const other = (slot & PAIR_MASK) - 1;
      if (this.#left[other] === left && this.#right[other] === right) return;
    }
    slots[i] = (hash & ~PAIR_MASK) | (k + 1);
  }
}
