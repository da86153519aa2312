/** Encodes text that has no special tokens in it: words from a scanner, each merged on its own. */
import { Merger } from "./merger.ts";
import { ByteLevelEncoder, SentencePieceEncoder, type WordEncoder } from "./symbols.ts";
import { scalarAt, utf8Length } from "./utf8.ts";
import { NO_ID, type Vocabulary } from "./vocabulary.ts";
import { WordCache } from "./word-cache.ts";
import { type WordScanner, wordScanner } from "./word-patterns.ts";

export class SegmentEncoder {
  readonly #vocabulary: Vocabulary;
  readonly #merger: Merger;
  readonly #encoder: WordEncoder;
  readonly #scanWord: WordScanner;
  readonly #cache = new WordCache();
  /** Whether every character becomes some token. */
  readonly #isComplete: boolean;

  /** Words as the vocabulary's own pattern has them, unless another scanner is given. */
  constructor(vocabulary: Vocabulary, scanner?: WordScanner) {
    this.#vocabulary = vocabulary;
    this.#merger = new Merger(vocabulary);
    const hasUnknown = vocabulary.kind === "sentencepiece" && vocabulary.unkId !== undefined;
    this.#isComplete = hasUnknown || !vocabulary.byteTokens.includes(NO_ID);
    if (vocabulary.kind === "byte-level") {
      this.#encoder = new ByteLevelEncoder(vocabulary, this.#merger);
      this.#scanWord = scanner ?? wordScanner(vocabulary.pattern);
    } else {
      this.#encoder = new SentencePieceEncoder(vocabulary, this.#merger);
      this.#scanWord = scanner ?? (vocabulary.wordwise ? scanSpaces : scanWhole);
    }
  }

  /**
   * Appends the tokens of text[start, end) to `out`, and the start and end of each in UTF-16 units to
   * `places`; `prefixed`: as if a space were in front. An empty text has no tokens. `wordEnds` gets the
   * length of `out` behind each word.
   */
  encode(
    text: string,
    start: number,
    end: number,
    prefixed: boolean,
    out: number[],
    places: number[] | undefined,
    wordEnds?: number[],
  ): void {
    let first = prefixed;
    for (let at = start; at < end; ) {
      const stop = this.#scanWord(text, at, end);
      if (stop < 0) {
        at = ~stop;
        continue;
      }
      const from = out.length;
      if (first) {
        this.#encoder.encodeWord(text, at, stop, true, out, places);
        first = false;
      } else if (!this.#cache.find(text, at, stop, out)) {
        this.#encoder.encodeWord(text, at, stop, false, out, places);
        this.#cache.add(text, out, from);
      } else if (places !== undefined && !this.#addPlaces(text, at, stop, out, from, places)) {
        out.length = from;
        this.#encoder.encodeWord(text, at, stop, false, out, places);
      }
      wordEnds?.push(out.length);
      at = stop;
    }
  }

  /**
   * The places of the tokens out[from ...], which together are the word, by their lengths in bytes.
   * False where lengths do not tell: of unknown characters and bytes that the vocabulary lacks.
   */
  #addPlaces(
    text: string,
    start: number,
    end: number,
    out: readonly number[],
    from: number,
    places: number[],
  ): boolean {
    if (!this.#isComplete) return false;
    if (out.length === from + 1) {
      places.push(start, end);
      return true;
    }
    const before = places.length;
    const { offsets, unkId, kind } = this.#vocabulary;
    const markBytes = kind === "sentencepiece" ? 1 : 3;
    let at = start;
    /** Bytes of the character at `at` that tokens have taken. */
    let taken = 0;
    let known = true;
    for (let i = from; known && i < out.length; i++) {
      const id = out[i]!;
      let left = offsets[id + 1]! - offsets[id]!;
      const first = at;
      known = id !== unkId && left > 0;
      let last = at;
      while (left > 0 && at < end) {
        const code = scalarAt(text, at);
        const bytes = (code === 0x2581 ? markBytes : utf8Length(code)) - taken;
        const units = code > 0xffff ? 2 : 1;
        last = at + units;
        if (bytes > left) {
          taken += left;
          left = 0;
        } else {
          left -= bytes;
          taken = 0;
          at += units;
        }
      }
      known &&= left === 0;
      places.push(first, last);
    }
    if (known && at === end && taken === 0) return true;
    places.length = before;
    return false;
  }

  /** Frees what a very long word took. */
  release(): void {
    this.#merger.reserve(0);
  }
}

function scanWhole(_text: string, _start: number, end: number): number {
  return end;
}

/** Spaces and then what is not a space: a word of SentencePiece. */
function scanSpaces(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && isSpace(text.charCodeAt(i))) i++;
  while (i < end && !isSpace(text.charCodeAt(i))) i++;
  return i;
}

/** A space, or SentencePiece's mark for one. */
export function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x2581;
}
