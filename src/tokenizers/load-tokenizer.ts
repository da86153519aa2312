/**
 * The tokenizer over a compiled vocabulary. Its memory is the compiled bytes, which it views, and
 * about 0.6 MB of caches; encoding makes no garbage but its result.
 */
import { isSpace, SegmentEncoder } from "./segment-encoder.ts";
import { idsOfTypes, SpecialTokens, textsOfTypes } from "./special-tokens.ts";
import { Utf8StreamDecoder } from "./stream-decoder.ts";
import { TokenTexts } from "./token-texts.ts";
import type {
  DecodeOptions,
  EncodeOptions,
  StreamDecoder,
  TokenBytes,
  Tokenizer,
} from "./tokenizer.ts";
import { decodeUtf8, type Repair } from "./utf8.ts";
import { LITERAL, readVocabulary, TokenType, type Vocabulary } from "./vocabulary.ts";

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

class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  readonly unkId: number | undefined;
  readonly eogIds: readonly number[];

  readonly #vocabulary: Vocabulary;
  readonly #texts: TokenTexts;
  readonly #encoder: SegmentEncoder;
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
    this.#texts = new TokenTexts(vocabulary);
    this.#encoder = new SegmentEncoder(vocabulary);
    this.#repair = vocabulary.kind === "byte-level" ? "subpart" : "byte";
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#encode(text, options, undefined);
  }

  encodeWithOffsets(
    text: string,
    options: EncodeOptions = {},
  ): { ids: number[]; offsets: [start: number, end: number][] } {
    const places: number[] = [];
    const ids = this.#encode(text, options, places);
    return { ids, offsets: ids.map((_, i) => [places[2 * i]!, places[2 * i + 1]!]) };
  }

  #encode(
    text: string,
    { addSpecialTokens = true, parseSpecial = false, continuation = false }: EncodeOptions,
    places: number[] | undefined,
  ): number[] {
    const { addBos, addEos, bosId, eosId, addSpacePrefix, spacePrefixOnce } = this.#vocabulary;
    // SentencePiece puts a space before the text, and again after each special token.
    const prefixes = (at: number): boolean =>
      addSpacePrefix &&
      (!spacePrefixOnce || (at === 0 && !continuation && !isSpace(text.charCodeAt(0))));
    const out: number[] = [];
    if (addSpecialTokens && addBos && bosId !== undefined) {
      out.push(bosId);
      places?.push(0, 0);
    }
    const special = parseSpecial ? this.#specialTokens() : this.#userDefinedTokens();
    let at = 0;
    for (let found = special.next(text, at); found !== undefined; found = special.next(text, at)) {
      this.#encoder.encode(text, at, found.start, prefixes(at), out, places);
      out.push(found.id);
      places?.push(found.start, found.end);
      at = found.end;
    }
    this.#encoder.encode(text, at, text.length, prefixes(at), out, places);
    if (addSpecialTokens && addEos && eosId !== undefined) {
      out.push(eosId);
      places?.push(0, 0);
    }
    this.#encoder.release();
    return out;
  }

  #specialTokens(): SpecialTokens {
    this.#special ??= new SpecialTokens(
      textsOfTypes(this.#vocabulary, (type) => {
        const kind = type & ~LITERAL;
        return isSpecialType(kind) || kind === TokenType.userDefined;
      }),
    );
    return this.#special;
  }

  #userDefinedTokens(): SpecialTokens {
    this.#userDefined ??= new SpecialTokens(
      textsOfTypes(this.#vocabulary, (type) => (type & ~LITERAL) === TokenType.userDefined),
    );
    return this.#userDefined;
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const { offsets, bytes } = this.#vocabulary;
    const skip = options.skipSpecialTokens ?? false;
    let length = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = this.#texts.check(ids[i]!);
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
    return this.#texts.tokenBytes(id);
  }

  allTokenBytes(): TokenBytes {
    return this.#vocabulary;
  }

  tokenText(id: number): string {
    return this.#texts.tokenText(id);
  }

  tokenId(piece: string): number | undefined {
    return this.#texts.tokenId(piece);
  }

  isSpecial(id: number): boolean {
    return isSpecialType(this.#vocabulary.types[this.#texts.check(id)]!);
  }

  specialIds(): number[] {
    return idsOfTypes(this.#vocabulary.types, isSpecialType);
  }
}
