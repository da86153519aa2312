/**
 * A tokenizer as the `tokenizers` library runs it: added tokens, normalizer, pre-tokenizer, model,
 * post-processor, decoder; over the compiled vocabulary. Offsets are UTF-16 units of the text.
 */
import { PronkError } from "../../errors.ts";
import { SegmentEncoder } from "../segment-encoder.ts";
import { idsOfTypes } from "../special-tokens.ts";
import type { Offset } from "../symbols.ts";
import { TokenTexts } from "../token-texts.ts";
import type { AddedToken } from "../tokenizer-json.ts";
import { decodeUtf8 } from "../utf8.ts";
import { LITERAL, MAX_VOCAB, TokenType, type Vocabulary } from "../vocabulary.ts";
import { AddedVocabulary } from "./added-vocabulary.ts";
import { type DecoderStep, decodeTokens, spelledBytes } from "./decoder.ts";
import { type Encoding, encodingOf } from "./encoding.ts";
import { normalize, normalizeText, withPrefix } from "./normalizer.ts";
import type { PostProcessor } from "./post-processor.ts";
import type { Recipe } from "./recipe.ts";
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
  /** The model's ids, where they are not 0 to modelSize - 1. */
  readonly modelIds?: ReadonlySet<number> | undefined;
}

export interface PipelineEncodeOptions {
  /** Special tokens that the text spells are text. */
  readonly splitSpecialTokens?: boolean;
  /** Default true; without, `offsets` is empty and words are remembered. */
  readonly offsets?: boolean;
}

export class TokenizerPipeline {
  readonly modelSize: number;
  postProcessor: PostProcessor;
  readonly #vocabulary: Vocabulary;
  readonly #texts: TokenTexts;
  readonly #recipe: Recipe;
  readonly #encoder: SegmentEncoder;
  readonly #added: AddedVocabulary;
  readonly #decoder: readonly DecoderStep[] | undefined;
  readonly #source: JsonSource | undefined;
  readonly #firstProcessor: PostProcessor;
  readonly #modelIds: ReadonlySet<number> | undefined;
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
    const added = this.#added.get(id);
    if (added !== undefined) return added.content;
    if (!Number.isInteger(id) || id < 0 || id >= this.#vocabulary.size) return undefined;
    return isHole(this.#vocabulary.types[id]!) ? undefined : this.#texts.tokenText(id);
  }

  #has(id: number): boolean {
    if (Number.isInteger(id) && id >= 0 && id < this.#vocabulary.size) {
      return !isHole(this.#vocabulary.types[id]!);
    }
    return this.#added.get(id) !== undefined;
  }

  isSpecial(id: number): boolean {
    return this.#added.get(id)?.special === true;
  }

  /** A text alone: `type` 0 for the first of a pair and 1 for the second. */
  encode(text: string, type: number, options: PipelineEncodeOptions = {}): Encoding {
    const ids: number[] = [];
    const offsets: Offset[] = [];
    this.encodeInto(text, ids, options.offsets === false ? undefined : offsets, options);
    if (options.offsets === false) for (const _ of ids) offsets.push([0, 0]);
    else if (this.postProcessor.trimOffsets) this.#trim(ids, offsets);
    return encodingOf(ids, offsets, type);
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

  /** Appends the tokens of a text, and their places if `offsets` is there. */
  encodeInto(
    text: string,
    ids: number[],
    offsets: Offset[] | undefined,
    { splitSpecialTokens = false }: PipelineEncodeOptions = {},
  ): void {
    const special = !splitSpecialTokens;
    const { kind, normalizer, spacePrefix } = this.#recipe;
    const bytePrefix = kind === "byte-level" && spacePrefix !== "none";
    const plain = normalizer.length === 0 && !bytePrefix && !this.#added.hasNormalized;
    for (const { id, start, end } of this.#added.split(text, special)) {
      if (id !== undefined) {
        ids.push(id);
        offsets?.push([start, end]);
      } else if (plain) {
        const prefixed = this.#prefixes(text, start, start);
        this.#encoder.encode(text, start, end, prefixed, ids, offsets);
      } else {
        this.#encodeNormalized(text, start, end, special, ids, offsets);
      }
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
    offsets: Offset[] | undefined,
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
        offsets?.push([starts[part.start]!, ends[part.end - 1]!]);
        continue;
      }
      const prefixed =
        spacePrefix !== "parts" && this.#prefixes(whole.text, part.start, starts[part.start]!);
      const places: Offset[] | undefined = offsets === undefined ? undefined : [];
      if (prefixed && kind === "byte-level") {
        const spaced = ` ${whole.text.slice(part.start, part.end)}`;
        this.#encoder.encode(spaced, 0, spaced.length, false, ids, places);
        for (const place of places ?? []) {
          place[0] = Math.max(0, place[0] - 1) + part.start;
          place[1] = Math.max(1, place[1] - 1) + part.start;
        }
      } else {
        this.#encoder.encode(whole.text, part.start, part.end, prefixed, ids, places);
      }
      for (const [from, to] of places ?? []) offsets!.push([starts[from]!, ends[to - 1]!]);
    }
  }

  /** Spaces at the ends of tokens are not part of their places. */
  #trim(ids: readonly number[], offsets: readonly Offset[]): void {
    ids.forEach((id, i) => {
      const spelled = this.tokenText(id)!;
      const place = offsets[i]!;
      let leading = /^[\u0120\p{White_Space}]*/u.exec(spelled)![0].length;
      const trailing = /[\u0120\p{White_Space}]*$/u.exec(spelled)![0].length;
      if (leading > 0 && (i === 0 || place[0] === 0) && this.postProcessor.addPrefixSpace)
        leading--;
      place[0] = Math.min(place[0] + leading, place[1]);
      if (place[1] >= trailing) place[1] = Math.max(place[1] - trailing, place[0]);
    });
  }

  /** @throws PronkError "bad_request" on an id that no token has. */
  decode(ids: ArrayLike<number>, skipSpecialTokens: boolean): string {
    const kept: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (!this.#has(id)) {
        throw new PronkError("bad_request", `tokenizer: no token has the id ${id}`);
      }
      if (!skipSpecialTokens || !this.isSpecial(id)) kept.push(id);
    }
    if (this.#decoder?.length === 1 && this.#decoder[0]!.type === "byte-level") {
      return this.#decodeBytes(kept);
    }
    return decodeTokens(
      kept.map((id) => this.tokenText(id)!),
      this.#decoder,
    );
  }

  /** As tokenizer.json, with the tokens and the post-processor of now. */
  toJson(): Uint8Array {
    const modelIds = this.#modelIds;
    return writeTokenizerJson({
      vocabulary: this.#vocabulary,
      isModelToken: (id) => (modelIds === undefined ? id < this.modelSize : modelIds.has(id)),
      recipe: this.#recipe,
      added: this.#added.entries(),
      postProcessor: this.postProcessor,
      sameProcessor: this.postProcessor === this.#firstProcessor,
      decoder: this.#decoder,
      source: this.#source,
      textOf: (id) => this.tokenText(id) ?? "",
    });
  }

  #decodeBytes(ids: readonly number[]): string {
    const parts = ids.map((id) =>
      id < this.#vocabulary.size && (this.#vocabulary.types[id]! & LITERAL) === 0
        ? this.#texts.tokenBytes(id)
        : spelledBytes(this.tokenText(id)!),
    );
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return decodeUtf8(bytes, "subpart");
  }
}

/** An id between others that no token has. */
function isHole(type: number): boolean {
  return type === (TokenType.unused | LITERAL);
}
