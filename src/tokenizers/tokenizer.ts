/** What the rest of the package needs of a tokenizer. */

export interface EncodeOptions {
  /** Add BOS/EOS as the model's tokenizer does. Default true. */
  readonly addSpecialTokens?: boolean;
  /**
   * Read the text of special tokens (`<|im_start|>`) as those tokens. Default false: text from
   * users never becomes a control token.
   */
  readonly parseSpecial?: boolean;
  /** The text goes on behind another one. Default false. */
  readonly continuation?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens out. Default false. */
  readonly skipSpecialTokens?: boolean;
  /**
   * The ids continue a text: keep the space that SentencePiece tokenizers drop where a text
   * begins. Default false.
   */
  readonly continuation?: boolean;
}

/** Turns tokens into text one by one and never splits a code point. */
export interface StreamDecoder {
  /** The text that this token completes; "" while a code point is still incomplete. */
  push(id: number): string;
  /** What is left, with U+FFFD for incomplete bytes. */
  flush(): string;
}

/** Bytes by token: those of token i are bytes[offsets[i], offsets[i + 1]). */
export interface TokenBytes {
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
}

export interface Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Every id that ends a turn: EOS, `<|im_end|>`, `<|eot_id|>`; ascending. */
  readonly eogIds: readonly number[];
  readonly padId: number | undefined;
  readonly unkId: number | undefined;
  encode(text: string, options?: EncodeOptions): number[];
  /** @throws PronkError "bad_request" on an id outside the vocabulary. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  createDecoder(options?: DecodeOptions): StreamDecoder;
  /** The bytes that this token adds to a text; what a special token is written as. */
  tokenBytes(id: number): Uint8Array;
  /** `tokenBytes` of all, as they are kept: to be read only. */
  allTokenBytes(): TokenBytes;
  /** The piece as the vocabulary spells it (`Ġhello`, `▁hello`, `<0x0A>`). */
  tokenText(id: number): string;
  /** The id of a piece as the vocabulary spells it. */
  tokenId(piece: string): number | undefined;
  isSpecial(id: number): boolean;
  /** Every id that is special, ascending; faster than asking for each. */
  specialIds(): number[];
  /** Start of each token in the text, in UTF-16 units, with its end. */
  encodeWithOffsets(
    text: string,
    options?: EncodeOptions,
  ): { ids: number[]; offsets: [number, number][] };
}
