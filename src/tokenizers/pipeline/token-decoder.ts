/**
 * Ids to text. The two decoders of Llama's tokenizers go over the bytes of tokens at once; others step
 * by step over their spellings, with the same outcome.
 */
import { PronkError } from "../../errors.ts";
import { TokenTexts } from "../token-texts.ts";
import { decodeUtf8 } from "../utf8.ts";
import { LITERAL, TokenType, type Vocabulary } from "../vocabulary.ts";
import type { AddedVocabulary } from "./added-vocabulary.ts";
import { type DecoderStep, decodeTokens, llamaDecoder, spelledBytes } from "./decoder.ts";

/** U+FFFD in UTF-8: what a byte that is part of no character becomes. */
const REPLACEMENT = [0xef, 0xbf, 0xbd] as const;

const MARK = "\u2581";
const SPELLED_BYTE = /^<0x[0-9A-Fa-f]{2}>$/;

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

export class TokenDecoder {
  readonly #vocabulary: Vocabulary;
  readonly #texts: TokenTexts;
  readonly #added: AddedVocabulary;
  readonly #steps: readonly DecoderStep[] | undefined;
  readonly #way: "byte-level" | "llama" | "steps";
  readonly #stripsSpace: boolean;

  constructor(
    vocabulary: Vocabulary,
    added: AddedVocabulary,
    steps: readonly DecoderStep[] | undefined,
  ) {
    this.#vocabulary = vocabulary;
    this.#texts = new TokenTexts(vocabulary);
    this.#added = added;
    this.#steps = steps;
    const is = (other: readonly DecoderStep[]): boolean =>
      JSON.stringify(steps) === JSON.stringify(other);
    const isBytes = vocabulary.kind === "byte-level";
    this.#stripsSpace = is(llamaDecoder(true));
    this.#way = "steps";
    if (isBytes && is([{ type: "byte-level" }])) this.#way = "byte-level";
    if (!isBytes && (this.#stripsSpace || is(llamaDecoder(false)))) this.#way = "llama";
  }

  /** The spelling; undefined for ids that no token has. */
  tokenText(id: number): string | undefined {
    const added = this.#added.get(id);
    if (added !== undefined) return added.content;
    if (!Number.isInteger(id) || id < 0 || id >= this.#vocabulary.size) return undefined;
    return isHole(this.#vocabulary.types[id]!) ? undefined : this.#texts.tokenText(id);
  }

  /** @throws PronkError "bad_request" on an id that no token has. */
  decode(ids: ArrayLike<number>, skipSpecialTokens: boolean): string {
    const { types, size } = this.#vocabulary;
    const kept: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      const added = this.#added.get(id);
      const isToken = added !== undefined || (id >= 0 && id < size && Number.isInteger(id));
      if (!isToken || (added === undefined && isHole(types[id]!))) {
        throw new PronkError("bad_request", `tokenizer: no token has the id ${id}`);
      }
      if (!skipSpecialTokens || added?.special !== true) kept.push(id);
    }
    if (this.#way === "byte-level") return this.#decodeByteLevel(kept);
    const text = this.#way === "llama" ? this.#decodeLlama(kept) : undefined;
    if (text !== undefined) return this.#stripsSpace && text.startsWith(" ") ? text.slice(1) : text;
    return this.decodeSpelled(kept.map((id) => this.tokenText(id)!));
  }

  /** The text of spellings. */
  decodeSpelled(tokens: readonly string[]): string {
    return decodeTokens(tokens, this.#steps);
  }

  #decodeByteLevel(ids: readonly number[]): string {
    const out = new ByteBuffer();
    const { types, size, bytes, offsets } = this.#vocabulary;
    for (const id of ids) {
      if (id < size && (types[id]! & LITERAL) === 0)
        out.push(bytes, offsets[id]!, offsets[id + 1]!);
      else out.pushAll(spelledBytes(this.tokenText(id)!));
    }
    return decodeUtf8(out.bytes(), "subpart");
  }

  /** Undefined where a token that was added spells a byte: that is for the steps. */
  #decodeLlama(ids: readonly number[]): string | undefined {
    const out = new ByteBuffer();
    const { types, size, bytes, offsets } = this.#vocabulary;
    /** Where the run of byte tokens began that is not ended. */
    let run = -1;
    const endRun = (): void => {
      if (run >= 0 && !isUtf8(out.bytes().subarray(run))) {
        const invalid = out.length - run;
        out.length = run;
        for (let i = 0; i < invalid; i++) out.push(REPLACEMENT, 0, REPLACEMENT.length);
      }
      run = -1;
    };
    for (const id of ids) {
      const type = id < size ? types[id]! : LITERAL;
      if (type === TokenType.byte) {
        if (this.#added.get(id) !== undefined) return undefined;
        if (run < 0) run = out.length;
        out.push(bytes, offsets[id]!, offsets[id + 1]!);
        continue;
      }
      endRun();
      if ((type & LITERAL) === 0) {
        out.push(bytes, offsets[id]!, offsets[id + 1]!);
      } else {
        const text = this.tokenText(id)!;
        if (SPELLED_BYTE.test(text)) return undefined;
        out.pushAll(new TextEncoder().encode(text.replaceAll(MARK, " ")));
      }
    }
    endRun();
    return lossy.decode(out.bytes());
  }
}

/** An id between others that no token has. */
function isHole(type: number): boolean {
  return type === (TokenType.unused | LITERAL);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

class ByteBuffer {
  #bytes = new Uint8Array(256);
  length = 0;

  /** Tokens are short: a loop is faster than set() with a view. */
  push(from: ArrayLike<number>, start: number, end: number): void {
    this.#reserve(end - start);
    const to = this.#bytes;
    let at = this.length;
    for (let i = start; i < end; i++) to[at++] = from[i]!;
    this.length = at;
  }

  pushAll(from: Uint8Array): void {
    this.push(from, 0, from.length);
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.length + more, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }

  /** A view of what was pushed. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
