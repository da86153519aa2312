/**
 * Reads tokenizer.model of SentencePiece, a protocol buffer, as the metadata that GGUF has of the
 * same tokenizers. BPE only; Llama's use no normalization, and others are refused by name.
 *
 * Source: src/sentencepiece_model.proto of google/sentencepiece; protobuf's wire format.
 */
import { PronkError } from "../errors.ts";
import { PackedStringsBuilder } from "../formats/packed-strings.ts";
import type { TokenizerMetadata } from "./tokenizer-metadata.ts";
import { MAX_VOCAB, TokenType } from "./vocabulary.ts";

/** Fields of ModelProto, of its pieces and specifications. */
const PIECES = 1;
const TRAINER_SPEC = 2;
const NORMALIZER_SPEC = 3;
const PIECE = { text: 1, score: 2, type: 3 } as const;
const TRAINER = {
  modelType: 3,
  suffix: 24,
  byteFallback: 35,
  unkId: 40,
  bosId: 41,
  eosId: 42,
  padId: 43,
} as const;
const NORMALIZER = { charsmap: 2, dummyPrefix: 3, removeSpaces: 4, escape: 5 } as const;

const MODEL_TYPES = ["", "UNIGRAM", "BPE", "WORD", "CHAR"];
const BPE = 2;

/** Longer pieces are unknown in practice (SentencePiece's default limit is 16 characters). */
const MAX_PIECE_BYTES = 4096;

interface Field {
  readonly number: number;
  /** Of varints, as a signed 32-bit number; of fixed32 the bits; of lengths the length. */
  readonly value: number;
  /** Of messages, strings and bytes: where they are. */
  readonly start: number;
  readonly end: number;
}

class WireReader {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, name: string, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#name = name;
    this.#at = start;
    this.#end = end;
  }

  /** The next field, or undefined at the end. */
  next(): Field | undefined {
    if (this.#at === this.#end) return undefined;
    const tag = this.#varint();
    const number = tag >>> 3;
    const wire = tag & 7;
    if (wire === 0) return { number, value: this.#varint() | 0, start: 0, end: 0 };
    const length = wire === 2 ? this.#varint() : wire === 5 ? 4 : wire === 1 ? 8 : -1;
    if (number === 0 || length < 0 || length > this.#end - this.#at) {
      throw this.bad(`field ${number} of wire type ${wire} does not fit`);
    }
    const start = this.#at;
    this.#at += length;
    const bits = wire === 5 ? this.#fixed32(start) : length;
    return { number, value: bits, start, end: this.#at };
  }

  /** The low 32 bits of a varint. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= this.#end) throw this.bad("ends early");
      const byte = this.#bytes[this.#at++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw this.bad("a number of more than ten bytes");
  }

  #fixed32(at: number): number {
    const bytes = this.#bytes;
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }

  bad(why: string): PronkError {
    return new PronkError("bad_format", `${this.#name}: ${why}, at byte ${this.#at}`);
  }
}

/**
 * What the file says of the tokenizer.
 *
 * @throws PronkError "bad_format" when it is no such file; "unsupported" naming what is not BPE
 *   without normalization.
 */
export function readSentencePieceModel(
  bytes: Uint8Array,
  name = "tokenizer.model",
): TokenizerMetadata {
  const pieces = countPieces(bytes, name);
  const strings = new PackedStringsBuilder(pieces);
  const scores = new Float32Array(pieces);
  const types = new Uint8Array(pieces).fill(TokenType.normal);
  const trainer = new Map<number, number>();
  const normalizer = new Map<number, number>();
  const bits = new DataView(new ArrayBuffer(4));
  const reader = new WireReader(bytes, name);
  let id = 0;
  for (let field = reader.next(); field !== undefined; field = reader.next()) {
    const inner = new WireReader(bytes, name, field.start, field.end);
    if (field.number === PIECES) {
      let text = { start: 0, end: 0 };
      for (let part = inner.next(); part !== undefined; part = inner.next()) {
        if (part.number === PIECE.text) text = part;
        else if (part.number === PIECE.type) types[id] = part.value;
        else if (part.number === PIECE.score) {
          bits.setInt32(0, part.value);
          scores[id] = bits.getFloat32(0);
        }
      }
      if (text.end === text.start || text.end - text.start > MAX_PIECE_BYTES) {
        throw reader.bad(`piece ${id} has ${text.end - text.start} bytes`);
      }
      if (!(types[id]! >= TokenType.normal && types[id]! <= TokenType.byte)) {
        throw reader.bad(`piece ${id} has type ${types[id]}`);
      }
      strings.push(bytes, text.start, text.end);
      id++;
    } else if (field.number === TRAINER_SPEC || field.number === NORMALIZER_SPEC) {
      const fields = field.number === TRAINER_SPEC ? trainer : normalizer;
      for (let part = inner.next(); part !== undefined; part = inner.next()) {
        fields.set(part.number, part.value);
      }
    }
  }
  refuse(trainer, normalizer, name);

  const idOf = (field: number, byDefault: number, type: number): number | undefined => {
    const value = trainer.get(field) ?? byDefault;
    return value >= 0 && value < pieces && types[value] === type ? value : undefined;
  };
  return {
    model: "llama",
    pre: undefined,
    tokens: strings.build(),
    types,
    scores,
    merges: undefined,
    unkId: idOf(TRAINER.unkId, 0, TokenType.unknown),
    bosId: idOf(TRAINER.bosId, 1, TokenType.control),
    eosId: idOf(TRAINER.eosId, 2, TokenType.control),
    padId: idOf(TRAINER.padId, -1, TokenType.control),
    eotId: undefined,
    eomId: undefined,
    addBos: undefined,
    addEos: undefined,
    spacePrefixOnce: undefined,
    addSpacePrefix: (normalizer.get(NORMALIZER.dummyPrefix) ?? 1) !== 0,
  };
}

function countPieces(bytes: Uint8Array, name: string): number {
  const reader = new WireReader(bytes, name);
  let pieces = 0;
  for (let field = reader.next(); field !== undefined; field = reader.next()) {
    if (field.number === PIECES && field.end > field.start) pieces++;
    else if (field.number === PIECES) throw reader.bad("an empty piece");
  }
  if (pieces === 0 || pieces > MAX_VOCAB) throw reader.bad(`${pieces} pieces`);
  return pieces;
}

function refuse(
  trainer: ReadonlyMap<number, number>,
  normalizer: ReadonlyMap<number, number>,
  name: string,
): void {
  const unsupported = (what: string): PronkError =>
    new PronkError("unsupported", `${name}: ${what}`);
  const type = trainer.get(TRAINER.modelType) ?? 1;
  if (type !== BPE) throw unsupported(`model type ${MODEL_TYPES[type] ?? type}; supported: BPE`);
  if ((trainer.get(TRAINER.suffix) ?? 0) !== 0) throw unsupported("treat_whitespace_as_suffix");
  if ((normalizer.get(NORMALIZER.charsmap) ?? 0) !== 0) {
    throw unsupported("normalizer_spec.precompiled_charsmap; supported: identity");
  }
  if ((normalizer.get(NORMALIZER.removeSpaces) ?? 1) !== 0) {
    throw unsupported("normalizer_spec.remove_extra_whitespaces");
  }
  if ((normalizer.get(NORMALIZER.escape) ?? 1) === 0) {
    throw unsupported("normalizer_spec.escape_whitespaces: false");
  }
}
