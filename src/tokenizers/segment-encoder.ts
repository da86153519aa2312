/** Encodes text that has no special tokens in it: words from a scanner, each merged on its own. */
import { Merger } from "./merger.ts";
import {
  ByteLevelEncoder,
  type Offset,
  SentencePieceEncoder,
  type WordEncoder,
} from "./symbols.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { WordCache } from "./word-cache.ts";
import { type WordScanner, wordScanner } from "./word-patterns.ts";

export class SegmentEncoder {
  readonly #merger: Merger;
  readonly #encoder: WordEncoder;
  readonly #scanWord: WordScanner;
  readonly #cache = new WordCache();

  /** Words as the vocabulary's own pattern has them, unless another scanner is given. */
  constructor(vocabulary: Vocabulary, scanner?: WordScanner) {
    this.#merger = new Merger(vocabulary);
    if (vocabulary.kind === "byte-level") {
      this.#encoder = new ByteLevelEncoder(vocabulary, this.#merger);
      this.#scanWord = scanner ?? wordScanner(vocabulary.pattern);
    } else {
      this.#encoder = new SentencePieceEncoder(vocabulary, this.#merger);
      this.#scanWord = scanner ?? (vocabulary.wordwise ? scanSpaces : scanWhole);
    }
  }

  /**
   * Appends the tokens of text[start, end) to `out`, and their places in UTF-16 units to `offsets`;
   * `prefixed`: as if a space were in front. An empty text has no tokens.
   */
  encode(
    text: string,
    start: number,
    end: number,
    prefixed: boolean,
    out: number[],
    offsets: Offset[] | undefined,
  ): void {
    let first = prefixed;
    for (let at = start; at < end; ) {
      const stop = this.#scanWord(text, at, end);
      if (stop < 0) {
        at = ~stop;
        continue;
      }
      if (offsets !== undefined || first) {
        this.#encoder.encodeWord(text, at, stop, first, out, offsets);
        first = false;
      } else if (!this.#cache.find(text, at, stop, out)) {
        const from = out.length;
        this.#encoder.encodeWord(text, at, stop, false, out);
        this.#cache.add(text, out, from);
      }
      at = stop;
    }
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
