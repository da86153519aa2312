/** Tokens by their spelling, and the reverse, over a compiled vocabulary. */
import { PronkError } from "../errors.ts";
import { spell, unspell } from "./byte-level.ts";
import { hashBytes, mixHash } from "./hashing.ts";
import { idsOfTypes } from "./special-tokens.ts";
import { decodeUtf8 } from "./utf8.ts";
import { LITERAL, NO_ID, TokenType, type Vocabulary } from "./vocabulary.ts";

export class TokenTexts {
  readonly #vocabulary: Vocabulary;
  /** Tokens that no merge makes, by their texts: a few hundred. */
  #literals: ReadonlyMap<string, number> | undefined;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** The bytes that this token adds to a text. */
  tokenBytes(id: number): Uint8Array {
    const { offsets, bytes } = this.#vocabulary;
    this.check(id);
    return bytes.subarray(offsets[id], offsets[id + 1]);
  }

  /** The piece as the vocabulary spells it. */
  tokenText(id: number): string {
    const bytes = this.tokenBytes(id);
    const { kind, types } = this.#vocabulary;
    if ((types[id]! & ~LITERAL) === TokenType.byte && (types[id]! & LITERAL) === 0) {
      return `<0x${bytes[0]!.toString(16).toUpperCase().padStart(2, "0")}>`;
    }
    if ((types[id]! & LITERAL) !== 0) return decodeUtf8(bytes, "subpart");
    return kind === "byte-level"
      ? spell(bytes)
      : decodeUtf8(bytes, "subpart").replaceAll(" ", "\u2581");
  }

  /** The id of a piece as the vocabulary spells it. */
  tokenId(piece: string): number | undefined {
    const { types, byteTokens } = this.#vocabulary;
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
    if (byte !== null) {
      const id = byteTokens[Number.parseInt(byte[1]!, 16)]!;
      if (id !== NO_ID && this.tokenText(id) === piece) return id;
    }
    const id = this.#findPiece(piece);
    if (id !== undefined) return id;
    this.#literals ??= new Map(
      idsOfTypes(types, (type) => (type & LITERAL) !== 0).map((id) => [this.tokenText(id), id]),
    );
    return this.#literals.get(piece);
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

  /** @throws PronkError "bad_request" on an id outside the vocabulary. */
  check(id: number): number {
    const { size } = this.#vocabulary;
    if (!Number.isInteger(id) || id < 0 || id >= size) {
      throw new PronkError("bad_request", `tokenizer: ${id} is none of ${size} tokens`);
    }
    return id;
  }
}
