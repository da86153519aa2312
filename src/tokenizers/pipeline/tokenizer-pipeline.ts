/**
 * A tokenizer as the `tokenizers` library runs it: added tokens, normalizer, pre-tokenizer, model,
 * post-processor, decoder; over the compiled vocabulary. Offsets are UTF-16 units of the text.
 */
import { PronkError } from "../../errors.ts";
import { SegmentEncoder } from "../segment-encoder.ts";
import { idsOfTypes } from "../special-tokens.ts";
import { TokenTexts } from "../token-texts.ts";
import type { AddedToken } from "../tokenizer-json.ts";
import { LITERAL, MAX_VOCAB, TokenType, type Vocabulary } from "../vocabulary.ts";
import { AddedVocabulary } from "./added-vocabulary.ts";
import type { DecoderStep } from "./decoder.ts";
import { type Encoding, encodingOf } from "./encoding.ts";
import { normalize, normalizeText, withPrefix } from "./normalizer.ts";
import type { PostProcessor } from "./post-processor.ts";
import type { Recipe } from "./recipe.ts";
import { TokenDecoder } from "./token-decoder.ts";
import { type JsonSource, writeTokenizerJson } from "./write-tokenizer-json.ts";

export interface PipelineParts {
  readonly vocabulary: Vocabulary;
  /** Tokens of the model itself; the vocabulary may hold added ones behind them. */
  readonly modelSize: number;
  readonly recipe: Recipe;
  readonly added: readonly (AddedToken & { readonly id: number })[];
  readonly postProcessor: PostProcessor;
  readonly decoder: readonly DecoderStep[] | undefined;
  /** Of a tokenizer.json; what is written back as it was. */
  readonly source?: JsonSource;
  /** 1 for the model's ids, where they are not 0 to modelSize - 1. */
  readonly modelIds?: Uint8Array | undefined;
}

export interface PipelineEncodeOptions {
  /** Special tokens that the text spells are text. */
  readonly splitSpecialTokens?: boolean;
  /** Whether the encoding has places. Default true. */
  readonly offsets?: boolean;
  /** Whether the encoding has words. Default false. */
  readonly words?: boolean;
}

export class TokenizerPipeline {
  readonly modelSize: number;
  postProcessor: PostProcessor;
  readonly #vocabulary: Vocabulary;
  readonly #texts: TokenTexts;
  readonly #recipe: Recipe;
  readonly #encoder: SegmentEncoder;
  readonly #added: AddedVocabulary;
  readonly #tokens: TokenDecoder;
  readonly #decoder: readonly DecoderStep[] | undefined;
  readonly #source: JsonSource | undefined;
  readonly #firstProcessor: PostProcessor;
  readonly #modelIds: Uint8Array | undefined;
  #size: number;
  /** One past the largest id. */
  #end: number;

  constructor(parts: PipelineParts) {
    const { vocabulary, recipe } = parts;
    this.modelSize = parts.modelSize;
    this.postProcessor = parts.postProcessor;
    this.#vocabulary = vocabulary;
    this.#texts = new TokenTexts(vocabulary);
    this.#recipe = recipe;
    this.#encoder = new SegmentEncoder(vocabulary, recipe.scanner);
    this.#decoder = parts.decoder;
    this.#source = parts.source;
    this.#firstProcessor = parts.postProcessor;
    this.#modelIds = parts.modelIds;
    const steps = recipe.normalizer;
    const prefix = recipe.spacePrefix === "parts" ? " " : "";
    const marks = recipe.kind === "sentencepiece";
    this.#added = new AddedVocabulary((text) => {
      const normalized = prefix + normalizeText(text, steps);
      return marks ? normalized.replaceAll(" ", "\u2581") : normalized;
    });
    for (const { id, ...token } of parts.added) this.#added.set(id, token);
    this.#tokens = new TokenDecoder(vocabulary, this.#added, parts.decoder);
    this.#end = vocabulary.size;
    this.#size = vocabulary.size - idsOfTypes(vocabulary.types, isHole).length;
  }

  /** Tokens of the model and added ones. */
  get size(): number {
    return this.#size;
  }

  get unkId(): number | undefined {
    return this.#vocabulary.unkId;
  }

  /** Added tokens by id, ascending. */
  addedTokens(): [number, AddedToken][] {
    return this.#added.entries();
  }

  addedToken(id: number): AddedToken | undefined {
    return this.#added.get(id);
  }

  /** Adds a token behind the others, or gives one of the vocabulary these flags; returns its id. */
  addToken(token: AddedToken): number {
    let id = this.tokenId(token.content);
    if (id === undefined) {
      if (this.#end >= MAX_VOCAB) {
        throw new PronkError("bad_request", `tokenizer: more than ${MAX_VOCAB} tokens`);
      }
      id = this.#end++;
      this.#size++;
    }
    this.#added.set(id, token);
    return id;
  }

  tokenId(text: string): number | undefined {
    return this.#added.idOf(text) ?? this.#texts.tokenId(text);
  }

  /** The spelling; undefined for ids that no token has. */
  tokenText(id: number): string | undefined {
    return this.#tokens.tokenText(id);
  }

  isSpecial(id: number): boolean {
    return this.#added.get(id)?.special === true;
  }

  /** A text alone: `type` 0 for the first of a pair and 1 for the second. */
  encode(text: string, type: number, options: PipelineEncodeOptions = {}): Encoding {
    const ids: number[] = [];
    const places: number[] | undefined = options.offsets === false ? undefined : [];
    const wordEnds: number[] | undefined = options.words === true ? [] : undefined;
    this.encodeInto(text, ids, places, options, wordEnds);
    if (places !== undefined && this.postProcessor.trimOffsets) this.#trim(ids, places);
    return encodingOf(ids, places, type, wordEnds && wordsOf(ids.length, wordEnds));
  }

  /**
   * The ids of a text with what is put around it; of long texts several times as fast as encode(),
   * which also makes the rows beside the ids.
   */
  encodeIds(text: string, addSpecialTokens: boolean, options: PipelineEncodeOptions): number[] {
    const ids: number[] = [];
    for (const piece of this.postProcessor.single) {
      if (!("ids" in piece)) this.encodeInto(text, ids, undefined, options);
      else if (addSpecialTokens) ids.push(...piece.ids);
    }
    return ids;
  }

  /** Appends the tokens of a text, the start and end of each if `places` is there, and where words end. */
  encodeInto(
    text: string,
    ids: number[],
    places: number[] | undefined,
    { splitSpecialTokens = false }: PipelineEncodeOptions = {},
    wordEnds?: number[],
  ): void {
    const special = !splitSpecialTokens;
    const { kind, normalizer, spacePrefix, scanner } = this.#recipe;
    // Without a pre-tokenizer a part is one word, whatever is scanned for speed.
    const ends = kind === "byte-level" || scanner !== undefined ? wordEnds : undefined;
    const bytePrefix = kind === "byte-level" && spacePrefix !== "none";
    const plain = normalizer.length === 0 && !bytePrefix && !this.#added.hasNormalized;
    for (const { id, start, end } of this.#added.split(text, special)) {
      if (id !== undefined) {
        ids.push(id);
        places?.push(start, end);
      } else if (plain) {
        const prefixed = this.#prefixes(text, start, start);
        this.#encoder.encode(text, start, end, prefixed, ids, places, ends);
      } else {
        this.#encodeNormalized(text, start, end, special, ids, places, ends);
      }
      if (ids.length > (wordEnds?.at(-1) ?? 0)) wordEnds?.push(ids.length);
    }
    this.#encoder.release();
  }

  /** Whether a space goes in front of the part of `text` at `at`, which was `original` before. */
  #prefixes(text: string, at: number, original: number): boolean {
    const { spacePrefix } = this.#recipe;
    if (spacePrefix === "parts" || spacePrefix === "none") return spacePrefix === "parts";
    const first = text.charCodeAt(at);
    const spaced = first === 0x20 || (first === 0x2581 && this.#recipe.kind === "sentencepiece");
    return !spaced && (spacePrefix === "unspaced-parts" || original === 0);
  }

  #encodeNormalized(
    text: string,
    start: number,
    end: number,
    special: boolean,
    ids: number[],
    places: number[] | undefined,
    wordEnds: number[] | undefined,
  ): void {
    const { kind, normalizer, spacePrefix } = this.#recipe;
    let whole = normalize(text, start, end, normalizer);
    if (spacePrefix === "parts") whole = withPrefix(whole, "\u2581");
    if (kind === "sentencepiece") {
      whole = { ...whole, text: whole.text.replaceAll(" ", "\u2581") };
    }
    const { starts, ends } = whole;
    for (const part of this.#added.splitNormalized(whole.text, special)) {
      if (part.id !== undefined) {
        ids.push(part.id);
        places?.push(starts[part.start]!, ends[part.end - 1]!);
        wordEnds?.push(ids.length);
        continue;
      }
      const prefixed =
        spacePrefix !== "parts" && this.#prefixes(whole.text, part.start, starts[part.start]!);
      const found: number[] | undefined = places === undefined ? undefined : [];
      if (prefixed && kind === "byte-level") {
        const spaced = ` ${whole.text.slice(part.start, part.end)}`;
        this.#encoder.encode(spaced, 0, spaced.length, false, ids, found, wordEnds);
        for (let i = 0; found !== undefined && i < found.length; i++) {
          // The first character has the place of the space before it.
          found[i] = Math.max(i % 2, found[i]! - 1) + part.start;
        }
      } else {
        this.#encoder.encode(whole.text, part.start, part.end, prefixed, ids, found, wordEnds);
      }
      for (let i = 0; found !== undefined && i < found.length; i += 2) {
        places!.push(starts[found[i]!]!, ends[found[i + 1]! - 1]!);
      }
    }
  }

  /** Spaces at the ends of tokens are not part of their places. */
  #trim(ids: readonly number[], places: number[]): void {
    const { addPrefixSpace } = this.postProcessor;
    /** Spaces in front, and behind, of each token that is here. */
    const spaces = new Map<number, readonly [number, number]>();
    ids.forEach((id, i) => {
      let found = spaces.get(id);
      if (found === undefined) {
        const spelled = this.tokenText(id)!;
        found = [
          /^[\u0120\p{White_Space}]*/u.exec(spelled)![0].length,
          spelled.length - spelled.replace(/[\u0120\p{White_Space}]+$/u, "").length,
        ];
        spaces.set(id, found);
      }
      const start = places[2 * i]!;
      const end = places[2 * i + 1]!;
      const isPrefix = found[0] > 0 && (i === 0 || start === 0) && addPrefixSpace;
      const from = Math.min(start + found[0] - Number(isPrefix), end);
      places[2 * i] = from;
      if (end >= found[1]) places[2 * i + 1] = Math.max(end - found[1], from);
    });
  }

  /** @throws PronkError "bad_request" on an id that no token has. */
  decode(ids: ArrayLike<number>, skipSpecialTokens: boolean): string {
    return this.#tokens.decode(ids, skipSpecialTokens);
  }

  /** The text of spellings. */
  decodeSpelled(tokens: readonly string[]): string {
    return this.#tokens.decodeSpelled(tokens);
  }

  /** As tokenizer.json, with the tokens and the post-processor of now. */
  toJson(): Uint8Array {
    const modelIds = this.#modelIds;
    return writeTokenizerJson({
      vocabulary: this.#vocabulary,
      isModelToken: (id) => (modelIds === undefined ? id < this.modelSize : modelIds[id] === 1),
      recipe: this.#recipe,
      added: this.#added.entries(),
      postProcessor: this.postProcessor,
      sameProcessor: this.postProcessor === this.#firstProcessor,
      decoder: this.#decoder,
      source: this.#source,
      textOf: (id) => this.tokenText(id) ?? "",
    });
  }
}

/** Of each token the word that it is in. */
function wordsOf(tokens: number, ends: readonly number[]): Int32Array {
  let word = 0;
  return Int32Array.from({ length: tokens }, (_, token) => {
    while (ends[word]! <= token) word++;
    return word;
  });
}

/** An id between others that no token has. */
function isHole(type: number): boolean {
  return type === (TokenType.unused | LITERAL);
}
