/**
 * Proposals from the text itself: where its last tokens occurred before, what came then may come now
 * (Saxena, 2023: prompt lookup decoding). Finds the most recent place of the longest of the last 4, 3
 * or 2 tokens by hash, then follows it for as long as it predicts what comes.
 *
 * A token costs three hashes, however long the text is.
 */
import { MatchOdds } from "./match-odds.ts";

/** Tokens of an n-gram: the longest first. One token alone says too little. */
const GRAMS = [4, 3, 2];

/** Slots of the table a token: three n-grams, hashed, with room to spare. */
const TABLE_FACTOR = 4;

/** Matches are measured up to here; beyond it longer ones are no surer. */
const MAX_LENGTH = 32;

/** A caller's prediction is believed from the start, as if so many of its tokens had come. */
const PREDICTION_TRUST = 16;

export class PromptLookup {
  /** The prediction, then the text; the first `#length` are known. */
  #ids: Int32Array;
  #length: number;
  /** Of the prediction. */
  readonly #predicted: number;
  /** Hash of an n-gram to the position behind its last occurrence; 0: none. */
  #table: Int32Array;
  /** The position of the token that is expected next; -1: none is. */
  #cursor = -1;
  /** Tokens before the cursor that are also the last of the text. */
  #matched = 0;
  #hits = 0;
  readonly #odds = new MatchOdds();

  /**
   * @param text what is known, at least one token.
   * @param prediction what the caller expects to come, from its first token on.
   */
  constructor(text: Int32Array, prediction: ArrayLike<number> = []) {
    this.#predicted = prediction.length;
    this.#length = prediction.length + text.length;
    this.#ids = new Int32Array(grown(this.#length));
    this.#ids.set(prediction);
    this.#ids.set(text, prediction.length);
    this.#table = new Int32Array(0);
    this.#index();
    if (this.#predicted > 0) {
      this.#cursor = 0;
      this.#matched = MAX_LENGTH;
      for (let i = 0; i < PREDICTION_TRUST; i++) this.#odds.observe(MAX_LENGTH, true);
    } else {
      this.#find();
    }
    this.#insert(this.#length);
  }

  /** Tokens of the prediction that came as predicted. */
  get predictionHits(): number {
    return this.#hits;
  }

  /** The text goes on with this token. */
  push(id: number): void {
    const cursor = this.#cursor;
    if (cursor >= 0) {
      const hit = this.#ids[cursor] === id;
      this.#odds.observe(this.#matched, hit);
      if (hit && cursor < this.#predicted) this.#hits++;
      // The prediction's end is not followed by the text's beginning.
      this.#cursor = hit && cursor + 1 !== this.#predicted ? cursor + 1 : -1;
      this.#matched = hit ? Math.min(this.#matched + 1, MAX_LENGTH) : 0;
    }
    if (this.#length === this.#ids.length) this.#grow();
    this.#ids[this.#length++] = id;
    // A short match may be one of several: a longer one, or one further on, is better.
    if (this.#cursor < 0 || this.#matched <= GRAMS[0]) this.#find();
    this.#insert(this.#length);
  }

  /**
   * Fills `odds` with the probabilities that the next 1, 2, ... proposals all come.
   *
   * @returns how many there are: 0 where nothing is expected.
   */
  expect(odds: Float64Array): number {
    if (this.#cursor < 0) return 0;
    const known = this.#cursor < this.#predicted ? this.#predicted - this.#cursor : odds.length;
    const count = Math.min(known, odds.length);
    let all = 1;
    for (let i = 0; i < count; i++) {
      all *= this.#odds.next(Math.min(this.#matched + i, MAX_LENGTH));
      odds[i] = all;
    }
    return count;
  }

  /** The next `count` tokens that are expected; at most as many as `expect` says. */
  propose(count: number): number[] {
    const proposals: number[] = [];
    for (let i = 0; i < count; i++) {
      const at = this.#cursor + i;
      // Beyond the end of the text, a repetition repeats itself.
      proposals.push(at < this.#length ? this.#ids[at] : proposals[at - this.#length]);
    }
    return proposals;
  }

  /** Looks for the text's last tokens among the n-grams before them. */
  #find(): void {
    const ids = this.#ids;
    const end = this.#length;
    for (const gram of GRAMS) {
      if (end - this.#predicted < gram || gram < this.#matched) continue;
      const at = this.#table[this.#slot(gram, end)];
      if (at === 0) continue;
      let length = 0;
      const most = Math.min(MAX_LENGTH, at, end - this.#predicted);
      while (length < most && ids[at - 1 - length] === ids[end - 1 - length]) length++;
      if (length < gram) continue; // another n-gram with the same hash
      this.#cursor = at;
      this.#matched = length;
      return;
    }
  }

  /** Takes note of the n-grams that end before `end`. */
  #insert(end: number): void {
    const from = end > this.#predicted ? this.#predicted : 0;
    for (const gram of GRAMS) {
      if (end - from >= gram) this.#table[this.#slot(gram, end)] = end;
    }
  }

  /** The place in the table of the n-gram that ends before `end`. */
  #slot(gram: number, end: number): number {
    let hash = gram;
    for (let i = end - gram; i < end; i++) hash = Math.imul(hash ^ this.#ids[i], 0x9e3779b1);
    return ((hash ^ (hash >>> 15)) >>> 0) & (this.#table.length - 1);
  }

  #grow(): void {
    const ids = new Int32Array(grown(this.#length));
    ids.set(this.#ids);
    this.#ids = ids;
    this.#index();
    this.#insert(this.#length);
  }

  /** A new table of all n-grams but the last; those of the prediction win over the text's. */
  #index(): void {
    this.#table = new Int32Array(TABLE_FACTOR * this.#ids.length);
    for (let end = this.#predicted + 1; end < this.#length; end++) this.#insert(end);
    for (let end = 1; end < this.#predicted; end++) this.#insert(end);
  }
}

/** A power of two with room for a short answer. */
function grown(length: number): number {
  return 1 << (32 - Math.clz32(length + 255));
}
