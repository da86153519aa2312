/**
 * The tokenizer over a compiled vocabulary. Its memory is the compiled bytes, which it views, and
 * about 0.6 MB of caches; encoding makes no garbage but its result.
 */
import { PronkError } from "../errors.ts";
import { spell, unspell } from "./byte-level.ts";
import { hashBytes, mixHash } from "./hashing.ts";
import { Merger } from "./merger.ts";
import { idsOfTypes, SpecialTokens } from "./special-tokens.ts";
import { Utf8StreamDecoder } from "./stream-decoder.ts";
import {
  ByteLevelEncoder,
  type Offset,
  SentencePieceEncoder,
  type WordEncoder,
} from "./symbols.ts";
import type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer } from "./tokenizer.ts";
import { decodeUtf8, type Repair } from "./utf8.ts";
import { LITERAL, NO_ID, readVocabulary, TokenType, type Vocabulary } from "./vocabulary.ts";
import { WordCache } from "./word-cache.ts";
import { type WordScanner, wordScanner } from "./word-patterns.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * Loads what compileTokenizer() made, without a copy: `bytes` must not change afterwards. A few
 * milliseconds.
 *
 * @throws PronkError "bad_format" when the bytes are not a compiled tokenizer; "unsupported" when
 *   they are of another version.
 */
export function loadTokenizer(bytes: Uint8Array): Tokenizer {
  return new BpeTokenizer(readVocabulary(bytes));
}

function isSpecialType(type: number): boolean {
  const kind = type & ~LITERAL;
  return kind === TokenType.control || kind === TokenType.unknown;
}

function typeOf(types: Uint8Array, id: number): number {
  return types[id]! & ~LITERAL;
}

class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  readonly unkId: number | undefined;
  readonly eogIds: readonly number[];

  readonly #vocabulary: Vocabulary;
  readonly #merger: Merger;
  readonly #encoder: WordEncoder;
  readonly #scanWord: WordScanner;
  readonly #cache = new WordCache();
  readonly #repair: Repair;
  #special: SpecialTokens | undefined;
  #userDefined: SpecialTokens | undefined;

  constructor(vocabulary: Vocabulary) {
    this.vocabSize = vocabulary.size;
    this.bosId = vocabulary.bosId;
    this.eosId = vocabulary.eosId;
    this.padId = vocabulary.padId;
    this.unkId = vocabulary.unkId;
    this.eogIds = [...vocabulary.eogIds];
    this.#vocabulary = vocabulary;
    this.#merger = new Merger(vocabulary);
    if (vocabulary.kind === "byte-level") {
      this.#encoder = new ByteLevelEncoder(vocabulary, this.#merger);
      this.#scanWord = wordScanner(vocabulary.pattern);
      this.#repair = "subpart";
    } else {
      this.#encoder = new SentencePieceEncoder(vocabulary, this.#merger);
      this.#scanWord = vocabulary.wordwise ? scanSpaces : (_text, _start, end) => end;
      this.#repair = "byte";
    }
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#encode(text, options, undefined);
  }

  encodeWithOffsets(
    text: string,
    options: EncodeOptions = {},
  ): { ids: number[]; offsets: Offset[] } {
    const offsets: Offset[] = [];
    return { ids: this.#encode(text, options, offsets), offsets };
  }

  #encode(
    text: string,
    { addSpecialTokens = true, parseSpecial = false }: EncodeOptions,
    offsets: Offset[] | undefined,
  ): number[] {
    const { addBos, addEos, bosId, eosId } = this.#vocabulary;
    const out: number[] = [];
    if (addSpecialTokens && addBos && bosId !== undefined) {
      out.push(bosId);
      offsets?.push([0, 0]);
    }
    const special = parseSpecial ? this.#specialTokens() : this.#userDefinedTokens();
    let at = 0;
    for (let found = special.next(text, at); found !== undefined; found = special.next(text, at)) {
      this.#encodeText(text, at, found.start, out, offsets);
      out.push(found.id);
      offsets?.push([found.start, found.end]);
      at = found.end;
    }
    this.#encodeText(text, at, text.length, out, offsets);
    if (addSpecialTokens && addEos && eosId !== undefined) {
      out.push(eosId);
      offsets?.push([0, 0]);
    }
    // Frees what a very long word took.
    this.#merger.reserve(0);
    return out;
  }

  /** Text without special tokens. */
  #encodeText(
    text: string,
    start: number,
    end: number,
    out: number[],
    offsets: Offset[] | undefined,
  ): void {
    // SentencePiece puts a space before the text, and again after each special token.
    let prefixed = this.#vocabulary.addSpacePrefix;
    for (let at = start; at < end; ) {
      const stop = this.#scanWord(text, at, end);
      if (offsets !== undefined || prefixed) {
        this.#encoder.encodeWord(text, at, stop, prefixed, out, offsets);
        prefixed = false;
      } else if (!this.#cache.find(text, at, stop, out)) {
        const from = out.length;
        this.#encoder.encodeWord(text, at, stop, false, out);
        this.#cache.add(text, out, from);
      }
      at = stop;
    }
  }

  #specialTokens(): SpecialTokens {
    this.#special ??= new SpecialTokens(this.#vocabulary, (type) => {
      const kind = type & ~LITERAL;
      return (
        kind === TokenType.control || kind === TokenType.unknown || kind === TokenType.userDefined
      );
    });
    return this.#special;
  }

  #userDefinedTokens(): SpecialTokens {
    this.#userDefined ??= new SpecialTokens(
      this.#vocabulary,
      (type) => (type & ~LITERAL) === TokenType.userDefined,
    );
    return this.#userDefined;
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const { offsets, bytes } = this.#vocabulary;
    const skip = options.skipSpecialTokens ?? false;
    let length = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = this.#checkId(ids[i]!);
      if (!skip || !this.isSpecial(id)) length += offsets[id + 1]! - offsets[id]!;
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (skip && this.isSpecial(id)) continue;
      for (let b = offsets[id]!; b < offsets[id + 1]!; b++) all[at++] = bytes[b]!;
    }
    const text = decodeUtf8(all, this.#repair);
    return this.#dropsSpace(options) && text.startsWith(" ") ? text.slice(1) : text;
  }

  createDecoder(options: DecodeOptions = {}): StreamDecoder {
    const skip = options.skipSpecialTokens ?? false;
    return new Utf8StreamDecoder(
      (id) => (skip && this.isSpecial(id) ? NO_BYTES : this.tokenBytes(id)),
      this.#repair,
      this.#dropsSpace(options),
    );
  }

  #dropsSpace({ continuation = false }: DecodeOptions): boolean {
    return this.#vocabulary.addSpacePrefix && !continuation;
  }

  tokenBytes(id: number): Uint8Array {
    const { offsets, bytes } = this.#vocabulary;
    this.#checkId(id);
    return bytes.subarray(offsets[id], offsets[id + 1]);
  }

  tokenText(id: number): string {
    const bytes = this.tokenBytes(id);
    const { kind, types } = this.#vocabulary;
    if (typeOf(types, id) === TokenType.byte && (types[id]! & LITERAL) === 0) {
      return `<0x${bytes[0]!.toString(16).toUpperCase().padStart(2, "0")}>`;
    }
    if ((types[id]! & LITERAL) !== 0) return decodeUtf8(bytes, "subpart");
    return kind === "byte-level"
      ? spell(bytes)
      : decodeUtf8(bytes, "subpart").replaceAll(" ", "\u2581");
  }

  tokenId(piece: string): number | undefined {
    const { types, byteTokens } = this.#vocabulary;
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
    if (byte !== null) {
      const id = byteTokens[Number.parseInt(byte[1]!, 16)]!;
      if (id !== NO_ID && this.tokenText(id) === piece) return id;
    }
    const id = this.#findPiece(piece);
    if (id !== undefined) return id;
    for (let other = types.length - 1; other >= 0; other--) {
      if ((types[other]! & LITERAL) !== 0 && this.tokenText(other) === piece) return other;
    }
    return undefined;
  }

  /** A token that merges can make, by its spelling. */
  #findPiece(piece: string): number | undefined {
    const { kind, pieces } = this.#vocabulary;
    const spelled = new TextEncoder().encode(piece);
    let bytes: Uint8Array = spelled;
    let length = spelled.length;
    if (kind === "byte-level") {
      bytes = new Uint8Array(spelled.length);
      length = unspell(spelled, 0, spelled.length, bytes, 0);
    } else {
      bytes = new TextEncoder().encode(piece.replaceAll("\u2581", " "));
      length = piece.includes(" ") ? -1 : bytes.length;
    }
    if (length < 0) return undefined;
    const id = pieces.find(bytes, 0, length, mixHash(hashBytes(bytes, 0, length)));
    return id < 0 ? undefined : id;
  }

  isSpecial(id: number): boolean {
    return isSpecialType(this.#vocabulary.types[this.#checkId(id)]!);
  }

  specialIds(): number[] {
    return idsOfTypes(this.#vocabulary.types, isSpecialType);
  }

  #checkId(id: number): number {
    if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize) {
      throw new PronkError("bad_request", `tokenizer: ${id} is none of ${this.vocabSize} tokens`);
    }
    return id;
  }
}

/** Spaces and then what is not a space: a word of SentencePiece. */
function scanSpaces(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && isSpace(text.charCodeAt(i))) i++;
  while (i < end && !isSpace(text.charCodeAt(i))) i++;
  return i;
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x2581;
}
