/**
 * The merge loop of BPE: while some neighbours have a merge, the one of the lowest rank, leftmost
 * among equals, becomes one symbol. Short words scan for it; long ones keep the pairs in a heap, so
 * that n symbols cost n log n.
 */
import type { Vocabulary } from "./vocabulary.ts";

/** Up to so many symbols scanning all pairs is faster than a heap (measured on English letters). */
const SCAN_SYMBOLS = 128;

/** No merge. Higher than any rank. */
const NONE = 0xffffffff;

/** The symbols of one word, merged in place. */
export class Merger {
  /** In: the word's symbols. Out: its tokens. An unknown symbol is any number that no merge has. */
  ids: Uint32Array = new Uint32Array(SCAN_SYMBOLS);
  /** Out: number of the first symbol of each token; one more for the end. */
  firsts: Uint32Array = new Uint32Array(SCAN_SYMBOLS + 1);
  /** For the caller's use: where each symbol's character is in the text. */
  units: Uint32Array = new Uint32Array(SCAN_SYMBOLS);
  /** In: symbols. Out: tokens. */
  count = 0;

  readonly #vocabulary: Vocabulary;
  /** Merge of symbol i with the next, and its rank; NONE. */
  readonly #merges = new Uint32Array(SCAN_SYMBOLS);
  readonly #ranks = new Uint32Array(SCAN_SYMBOLS);
  readonly #small = { ids: this.ids, firsts: this.firsts, units: this.units };

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Makes room for a word of so many symbols. Memory for long words is not kept. */
  reserve(symbols: number): void {
    if (symbols <= SCAN_SYMBOLS) {
      ({ ids: this.ids, firsts: this.firsts, units: this.units } = this.#small);
    } else if (this.ids.length < symbols) {
      this.ids = new Uint32Array(symbols);
      this.firsts = new Uint32Array(symbols + 1);
      this.units = new Uint32Array(symbols);
    }
    this.count = 0;
  }

  merge(): void {
    if (this.count <= SCAN_SYMBOLS) this.#mergeByScan();
    else this.#mergeByHeap();
  }

  #rankOf(merge: number): number {
    const { ranks } = this.#vocabulary;
    return merge === NONE || ranks.length === 0 ? merge : ranks[merge]!;
  }

  #find(left: number, right: number): number {
    const merge = this.#vocabulary.pairs.find(left, right);
    return merge < 0 ? NONE : merge;
  }

  #mergeByScan(): void {
    const { ids, firsts } = this;
    const merges = this.#merges;
    const ranks = this.#ranks;
    const { merged } = this.#vocabulary;
    let count = this.count;
    firsts[0] = 0;
    for (let i = 1; i < count; i++) {
      firsts[i] = i;
      const merge = this.#find(ids[i - 1]!, ids[i]!);
      merges[i - 1] = merge;
      ranks[i - 1] = this.#rankOf(merge);
    }
    firsts[count] = count;
    while (count > 1) {
      let best = 0;
      let bestRank = NONE;
      for (let i = 0; i < count - 1; i++) {
        if (ranks[i]! < bestRank) {
          bestRank = ranks[i]!;
          best = i;
        }
      }
      if (bestRank === NONE) break;
      ids[best] = merged[merges[best]!]!;
      count--;
      for (let i = best + 1; i < count; i++) {
        ids[i] = ids[i + 1]!;
        firsts[i] = firsts[i + 1]!;
        merges[i - 1] = merges[i]!;
        ranks[i - 1] = ranks[i]!;
      }
      firsts[count] = firsts[count + 1]!;
      if (best > 0) this.#updateScan(best - 1);
      if (best + 1 < count) this.#updateScan(best);
    }
    this.count = count;
  }

  #updateScan(i: number): void {
    const merge = this.#find(this.ids[i]!, this.ids[i + 1]!);
    this.#merges[i] = merge;
    this.#ranks[i] = this.#rankOf(merge);
  }

  /** An indexed binary heap of the symbols that merge with their right neighbour. */
  #mergeByHeap(): void {
    const { ids, firsts, count } = this;
    const { merged } = this.#vocabulary;
    const next = new Uint32Array(count);
    const previous = new Uint32Array(count);
    const merges = new Uint32Array(count);
    const heap = new Uint32Array(count);
    /** Place of each symbol in the heap, NONE outside of it. */
    const places = new Uint32Array(count).fill(NONE);
    let size = 0;

    const before = (a: number, b: number): boolean => {
      const x = this.#rankOf(merges[a]!);
      const y = this.#rankOf(merges[b]!);
      return x < y || (x === y && a < b);
    };
    const put = (symbol: number, place: number): void => {
      heap[place] = symbol;
      places[symbol] = place;
    };
    /** Moves the symbol at `place` to where it belongs. */
    const sift = (place: number): void => {
      const symbol = heap[place]!;
      let at = place;
      while (at > 0 && before(symbol, heap[(at - 1) >> 1]!)) {
        put(heap[(at - 1) >> 1]!, at);
        at = (at - 1) >> 1;
      }
      for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++;
        if (!before(heap[child]!, symbol)) break;
        put(heap[child]!, at);
        at = child;
      }
      put(symbol, at);
    };
    /** Sets the merge of a symbol with its right neighbour. */
    const update = (symbol: number, merge: number): void => {
      merges[symbol] = merge;
      const place = places[symbol]!;
      if (merge !== NONE) {
        if (place === NONE) put(symbol, size++);
        sift(places[symbol]!);
      } else if (place !== NONE) {
        places[symbol] = NONE;
        const last = heap[--size]!;
        if (last !== symbol) {
          put(last, place);
          sift(place);
        }
      }
    };

    for (let i = 0; i < count; i++) {
      next[i] = i + 1 < count ? i + 1 : NONE;
      previous[i] = i > 0 ? i - 1 : NONE;
    }
    for (let i = 0; i + 1 < count; i++) update(i, this.#find(ids[i]!, ids[i + 1]!));
    while (size > 0) {
      const symbol = heap[0]!;
      const gone = next[symbol]!;
      ids[symbol] = merged[merges[symbol]!]!;
      update(gone, NONE);
      const after = next[gone]!;
      next[symbol] = after;
      if (after !== NONE) previous[after] = symbol;
      update(symbol, after === NONE ? NONE : this.#find(ids[symbol]!, ids[after]!));
      const left = previous[symbol]!;
      if (left !== NONE) update(left, this.#find(ids[left]!, ids[symbol]!));
    }

    let tokens = 0;
    for (let i = 0; i !== NONE; i = next[i]!) {
      firsts[tokens] = i;
      ids[tokens++] = ids[i]!;
    }
    firsts[tokens] = count;
    this.count = tokens;
  }
}
