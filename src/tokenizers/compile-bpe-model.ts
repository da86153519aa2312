/**
 * Compiles the BPE model of a tokenizer.json, byte-level or with byte fallback, and its added
 * tokens. Merges are looked up as they come; the strings never become JavaScript's.
 */
import { PronkError } from "../errors.ts";
import type { PackedStrings } from "../formats/model-file.ts";
import { unspell } from "./byte-level.ts";
import { hashBytes, mixHash, PairTable, PieceTable, slotCount } from "./hashing.ts";
import { isWordwise, parseByte, unescapeSpaces } from "./sentencepiece-spelling.ts";
import type { TokenizerJson } from "./tokenizer-json.ts";
import {
  LITERAL,
  MAX_VOCAB,
  NO_ID,
  type TokenizerKind,
  TokenType,
  type VocabularyParts,
} from "./vocabulary.ts";

/** Longer tokens are unknown in practice; it bounds scratch. */
const MAX_TOKEN_BYTES = 4096;

export type BpeModelParts = Omit<
  VocabularyParts,
  "pattern" | "addBos" | "addEos" | "addSpacePrefix" | "bosId" | "eosId" | "padId" | "eogIds"
>;

function bad(why: string): PronkError {
  return new PronkError("bad_format", `tokenizer.json: ${why}`);
}

/**
 * Tokens that merges can make keep their bytes whatever their type is, but special ones, which no
 * text of a user may become, and spellings that mean no bytes.
 *
 * @throws PronkError "bad_format".
 */
export function compileBpeModel(
  { model, added_tokens }: Pick<TokenizerJson, "model" | "added_tokens">,
  kind: TokenizerKind,
): BpeModelParts {
  const { tokens, ids } = model;
  let size = 0;
  for (const id of ids) size = Math.max(size, id + 1);
  for (const { id } of added_tokens) size = Math.max(size, id + 1);
  if (size === 0 || size > MAX_VOCAB) throw bad(`${size} tokens`);
  /** Number in the file of each token, plus one. */
  const places = new Uint32Array(size);
  ids.forEach((id, place) => {
    if (places[id] !== 0) throw bad(`two tokens have the id ${id}`);
    places[id] = place + 1;
  });

  const types = tokenTypes(model, added_tokens, places);
  const extra = new Map(added_tokens.map(({ id, content }) => [id, content]));
  const writer = new PieceWriter(tokens, kind);
  const offsets = new Uint32Array(size + 1);
  const byteTokens = new Uint32Array(256).fill(NO_ID);
  for (let id = 0; id < size; id++) {
    const place = places[id]! - 1;
    if (place < 0) types[id] = writer.literal(extra.get(id) ?? "", types[id]!);
    else types[id] = writer.piece(place, types[id]!, (byte) => (byteTokens[byte] = id));
    offsets[id + 1] = writer.length;
  }
  const bytes = writer.build();

  const pieces = new PieceTable(bytes, offsets, new Uint32Array(slotCount(size)));
  for (let id = 0; id < size; id++) {
    const start = offsets[id]!;
    const end = offsets[id + 1]!;
    if (start === end || !isPiece(types[id]!)) continue;
    pieces.add(id, mixHash(hashBytes(bytes, start, end)));
    if (kind === "byte-level" && end - start === 1) byteTokens[bytes[start]!] = id;
  }
  const unkId = model.unk_token === undefined ? undefined : types.indexOf(TokenType.unknown);
  if (kind === "sentencepiece" && unkId !== undefined && unkId >= 0 && !model.fuse_unk) {
    if (byteTokens.includes(NO_ID)) {
      throw new PronkError("unsupported", "tokenizer.json: unk_token without fuse_unk");
    }
  }
  return {
    kind,
    ignoreMerges: model.ignore_merges,
    wordwise: kind === "byte-level" || isWordwise(bytes, offsets, types, isPiece),
    bytes,
    offsets,
    types,
    pieceSlots: pieces.slots,
    byteTokens,
    extraSymbols: new Uint32Array(0),
    ...compileMerges(model.merges, pieces, kind),
    ranks: new Uint32Array(0),
    unkId: unkId !== undefined && unkId >= 0 ? unkId : undefined,
  };
}

/** Types whose tokens merges may make. */
function isPiece(type: number): boolean {
  return type === TokenType.normal || type === TokenType.userDefined || type === TokenType.unused;
}

function tokenTypes(
  { tokens, unk_token }: TokenizerJson["model"],
  added: TokenizerJson["added_tokens"],
  places: Uint32Array,
): Uint8Array {
  const types = new Uint8Array(places.length).fill(TokenType.normal);
  places.forEach((place, id) => {
    if (place === 0) types[id] = TokenType.unused;
  });
  const encoder = new TextEncoder();
  const equals = (place: number, text: Uint8Array): boolean => {
    const start = tokens.offsets[place]!;
    if (tokens.offsets[place + 1]! - start !== text.length) return false;
    return text.every((byte, i) => tokens.bytes[start + i] === byte);
  };
  for (const { id, content, special } of added) {
    const place = places[id]!;
    if (place !== 0 && !equals(place - 1, encoder.encode(content))) {
      throw bad(`the added token ${JSON.stringify(content)} has the id of another token, ${id}`);
    }
    types[id] = special ? TokenType.control : TokenType.userDefined;
  }
  if (unk_token !== undefined) {
    const text = encoder.encode(unk_token);
    const id = places.findIndex((place) => place !== 0 && equals(place - 1, text));
    if (id >= 0) types[id] = TokenType.unknown;
  }
  return types;
}

/** What each token adds to a text, one after the other. */
class PieceWriter {
  length = 0;
  readonly #tokens: PackedStrings;
  readonly #kind: TokenizerKind;
  #bytes: Uint8Array;

  constructor(tokens: PackedStrings, kind: TokenizerKind) {
    this.#tokens = tokens;
    this.#kind = kind;
    // What is spelled is never longer than its spelling.
    this.#bytes = new Uint8Array(tokens.bytes.length + 1);
  }

  /** Of a token of the model; `onByte` is told which byte a token of one byte is. Returns the type. */
  piece(place: number, type: number, onByte: (byte: number) => void): number {
    const { bytes, offsets } = this.#tokens;
    const start = offsets[place]!;
    const end = offsets[place + 1]!;
    if (end - start > MAX_TOKEN_BYTES) throw bad(`a token of ${end - start} bytes`);
    this.#reserve(end - start);
    const out = this.#bytes;
    if (this.#kind === "sentencepiece") {
      const byte = type === TokenType.normal ? parseByte(bytes, start, end) : -1;
      if (byte >= 0) {
        out[this.length++] = byte;
        onByte(byte);
        return TokenType.byte;
      }
      if (isPiece(type) && !bytes.subarray(start, end).includes(0x20)) {
        this.length = unescapeSpaces(bytes, start, end, out, this.length);
        return type;
      }
    } else if (isPiece(type)) {
      const to = unspell(bytes, start, end, out, this.length);
      if (to >= 0) {
        this.length = to;
        return type;
      }
    }
    out.set(bytes.subarray(start, end), this.length);
    this.length += end - start;
    return type | LITERAL;
  }

  /** Of a token that is not the model's. */
  literal(text: string, type: number): number {
    const bytes = new TextEncoder().encode(text);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
    return type | LITERAL;
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const grown = new Uint8Array((this.length + more) * 2);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  build(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }
}

/** Looks up both sides and the result of each merge. */
function compileMerges(
  merges: PackedStrings,
  pieces: PieceTable,
  kind: TokenizerKind,
): Pick<VocabularyParts, "left" | "right" | "merged" | "pairSlots"> {
  const count = merges.length / 2;
  const left = new Uint32Array(count);
  const right = new Uint32Array(count);
  const merged = new Uint32Array(count);
  const pairs = new PairTable(left, right, new Uint32Array(slotCount(count)));
  const scratch = new Uint8Array(2 * MAX_TOKEN_BYTES);
  const write = kind === "byte-level" ? unspell : unescapeSpaces;
  let kept = 0;
  for (let k = 0; k < count; k++) {
    const [start, split, end] = [0, 1, 2].map((i) => merges.offsets[2 * k + i]!) as [
      number,
      number,
      number,
    ];
    if (end - start > 2 * MAX_TOKEN_BYTES) throw bad(`merge ${k} has ${end - start} bytes`);
    const middle = write(merges.bytes, start, split, scratch, 0);
    const stop = middle < 0 ? -1 : write(merges.bytes, split, end, scratch, middle);
    if (stop <= middle) throw bad(`merge ${k} is not two pieces`);
    const hashLeft = hashBytes(scratch, 0, middle);
    const hashRight = hashBytes(scratch, middle, stop);
    const a = pieces.find(scratch, 0, middle, mixHash(hashLeft));
    const b = pieces.find(scratch, middle, stop, mixHash(hashRight));
    const c = pieces.find(scratch, 0, stop, mixHash(hashBytes(scratch, middle, stop, hashLeft)));
    if (a < 0 || b < 0 || c < 0) throw bad(`merge ${k} has pieces that are no tokens`);
    left[kept] = a;
    right[kept] = b;
    merged[kept] = c;
    pairs.add(kept++);
  }
  return { left, right, merged, pairSlots: pairs.slots };
}
