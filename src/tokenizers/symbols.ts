/**
 * Text to the symbols that merging starts from, and tokens back to their places in the text.
 * Byte-level BPE starts from bytes, SentencePiece from characters.
 */
import { hashBytes, mixHash } from "./hashing.ts";
import type { Merger } from "./merger.ts";
import { scalarAt, utf8Length, writeUtf8 } from "./utf8.ts";
import { NO_ID, type Vocabulary } from "./vocabulary.ts";

/** SentencePiece's space: written for spaces, and read as one. */
const SPACE_MARK = 0x2581;

/** Units of the character at `index`; 2 exactly when scalarAt() is beyond the BMP. */
export function unitLength(text: string, index: number): number {
  return text.codePointAt(index)! > 0xffff ? 2 : 1;
}

/**
 * Turns one word into tokens: appended to `out`, with the start and the end of each, half-open in
 * UTF-16 units, to `places` if given.
 */
export interface WordEncoder {
  encodeWord(
    text: string,
    start: number,
    end: number,
    prefixed: boolean,
    out: number[],
    places?: number[],
  ): void;
}

/** Words of bytes. Bytes that the vocabulary lacks are left out, as Hugging Face does. */
export class ByteLevelEncoder implements WordEncoder {
  readonly #vocabulary: Vocabulary;
  readonly #merger: Merger;
  readonly #bytes: Uint8Array;

  constructor(vocabulary: Vocabulary, merger: Merger) {
    this.#vocabulary = vocabulary;
    this.#merger = merger;
    this.#bytes = new Uint8Array((vocabulary.ignoreMerges ? longestPiece(vocabulary) : 0) + 4);
  }

  encodeWord(
    text: string,
    start: number,
    end: number,
    _prefixed: boolean,
    out: number[],
    places?: number[],
  ): void {
    const merger = this.#merger;
    let symbols = 0;
    for (let i = start; i < end; i += unitLength(text, i)) symbols += utf8Length(scalarAt(text, i));
    if (this.#vocabulary.ignoreMerges && symbols <= this.#bytes.length) {
      const id = this.#findWhole(text, start, end);
      if (id >= 0) {
        out.push(id);
        places?.push(start, end);
        return;
      }
    }
    merger.reserve(symbols);
    const { byteTokens } = this.#vocabulary;
    const bytes = this.#bytes;
    const { ids, units } = merger;
    let count = 0;
    for (let i = start; i < end; i += unitLength(text, i)) {
      const length = writeUtf8(scalarAt(text, i), bytes, 0);
      for (let b = 0; b < length; b++) {
        const id = byteTokens[bytes[b]!]!;
        if (id === NO_ID) continue;
        units[count] = i;
        ids[count++] = id;
      }
    }
    merger.count = count;
    merger.merge();
    for (let t = 0; t < merger.count; t++) {
      out.push(ids[t]!);
      places?.push(startOf(merger, t), endOf(text, merger, t));
    }
  }

  /** The token that is the whole word, or -1. */
  #findWhole(text: string, start: number, end: number): number {
    const bytes = this.#bytes;
    let length = 0;
    for (let i = start; i < end; i += unitLength(text, i)) {
      length = writeUtf8(scalarAt(text, i), bytes, length);
    }
    const hash = mixHash(hashBytes(bytes, 0, length));
    return this.#vocabulary.pieces.find(bytes, 0, length, hash);
  }
}

/** Words of characters. A character that is no piece becomes byte tokens, or the unknown token. */
export class SentencePieceEncoder implements WordEncoder {
  readonly #vocabulary: Vocabulary;
  readonly #merger: Merger;
  readonly #character = new Uint8Array(4);
  readonly #ascii = new Uint32Array(0x80);
  readonly #extra: ReadonlyMap<number, number>;

  constructor(vocabulary: Vocabulary, merger: Merger) {
    this.#vocabulary = vocabulary;
    this.#merger = merger;
    this.#extra = new Map(
      Array.from(vocabulary.extraSymbols, (code, i) => [code, vocabulary.size + i]),
    );
    for (let code = 0; code < 0x80; code++) this.#ascii[code] = this.#findSymbol(code);
  }

  encodeWord(
    text: string,
    start: number,
    end: number,
    prefixed: boolean,
    out: number[],
    places?: number[],
  ): void {
    const merger = this.#merger;
    merger.reserve(end - start + 1);
    const { ids, units } = merger;
    let count = 0;
    if (prefixed) {
      units[count] = start;
      ids[count++] = this.#ascii[0x20]!;
    }
    for (let i = start; i < end; i += unitLength(text, i)) {
      const code = scalarAt(text, i);
      units[count] = i;
      ids[count++] = code < 0x80 ? this.#ascii[code]! : this.#findSymbol(code);
    }
    merger.count = count;
    merger.merge();
    let unknownBefore = false;
    for (let t = 0; t < merger.count; t++) {
      const id = ids[t]!;
      const from = startOf(merger, t);
      const to = endOf(text, merger, t);
      if (id < this.#vocabulary.size) {
        unknownBefore = false;
        out.push(id);
        places?.push(from, to);
        continue;
      }
      const isPrefix = prefixed && merger.firsts[t] === 0;
      unknownBefore = this.#encodeUnknown(
        isPrefix ? SPACE_MARK : scalarAt(text, from),
        from,
        to,
        unknownBefore,
        out,
        places,
      );
    }
  }

  /** @returns whether it became the unknown token, of which neighbours are one. */
  #encodeUnknown(
    code: number,
    from: number,
    to: number,
    unknownBefore: boolean,
    out: number[],
    places: number[] | undefined,
  ): boolean {
    const { byteTokens, unkId } = this.#vocabulary;
    const bytes = this.#character;
    const length = writeUtf8(code === 0x20 ? SPACE_MARK : code, bytes, 0);
    let known = true;
    for (let b = 0; b < length; b++) known &&= byteTokens[bytes[b]!] !== NO_ID;
    if (known) {
      for (let b = 0; b < length; b++) {
        out.push(byteTokens[bytes[b]!]!);
        places?.push(from, to);
      }
      return false;
    }
    if (unkId === undefined) return false;
    if (unknownBefore) {
      if (places !== undefined) places[places.length - 1] = to;
    } else {
      out.push(unkId);
      places?.push(from, to);
    }
    return true;
  }

  /** The symbol of a character, or NO_ID. */
  #findSymbol(code: number): number {
    const bytes = this.#character;
    const length = writeUtf8(code === SPACE_MARK ? 0x20 : code, bytes, 0);
    const hash = mixHash(hashBytes(bytes, 0, length));
    const id = this.#vocabulary.pieces.find(bytes, 0, length, hash);
    return id >= 0 ? id : (this.#extra.get(code) ?? NO_ID);
  }
}

/** The first unit of a token's first character. */
function startOf({ units, firsts }: Merger, token: number): number {
  return units[firsts[token]!]!;
}

/** Behind the last unit of a token's last character. */
function endOf(text: string, { units, firsts }: Merger, token: number): number {
  const last = units[firsts[token + 1]! - 1]!;
  return last + unitLength(text, last);
}

function longestPiece({ offsets }: Vocabulary): number {
  let longest = 0;
  for (let i = 1; i < offsets.length; i++)
    longest = Math.max(longest, offsets[i]! - offsets[i - 1]!);
  return longest;
}
