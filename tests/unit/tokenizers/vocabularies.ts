/** GGUF tokenizer metadata made for tests, and read from files. */
import { open } from "node:fs/promises";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import type { MetadataValue, PackedStrings } from "../../../src/formats/model-file.ts";
import { PackedStringsBuilder } from "../../../src/formats/packed-strings.ts";
import { fileSource } from "../../../src/sources/file.ts";
import { spell } from "../../../src/tokenizers/byte-level.ts";

export type Metadata = Map<string, MetadataValue>;

/** Token types of GGUF. */
export const NORMAL = 1;
export const UNKNOWN = 2;
export const CONTROL = 3;
export const USER_DEFINED = 4;
export const BYTE = 6;

/** The metadata of a GGUF file; reads its header only. */
export async function metadataOfFile(path: string): Promise<ReadonlyMap<string, MetadataValue>> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const read = async (buffer: Uint8Array, position: number): Promise<number> =>
      (await file.read(buffer, 0, buffer.length, position)).bytesRead;
    return (await readGguf(fileSource({ read }, path, size))).metadata;
  } finally {
    await file.close();
  }
}

export function packStrings(strings: readonly string[]): PackedStrings {
  const builder = new PackedStringsBuilder(strings.length);
  for (const string of strings) {
    const bytes = new TextEncoder().encode(string);
    builder.push(bytes, 0, bytes.length);
  }
  return builder.build();
}

/** Same numbers on every run (mulberry32): [0, limit). */
export function randomSource(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

function withPrefix(entries: Record<string, MetadataValue | undefined>): Metadata {
  const metadata: Metadata = new Map();
  for (const [key, value] of Object.entries(entries)) {
    if (value !== undefined) metadata.set(`tokenizer.ggml.${key}`, value);
  }
  return metadata;
}

export interface ByteLevelOptions {
  /** Merges as pairs of pieces, in text (" t" and "he", not spelled). Every result is a token. */
  readonly merges: readonly (readonly [string, string])[];
  /** Text and type, behind the bytes and merged pieces. */
  readonly special?: readonly (readonly [string, number])[];
  readonly pre?: string;
  readonly more?: Record<string, MetadataValue | undefined>;
}

/** Byte-level BPE: tokens 0 to 255 are the bytes, then the merged pieces, then special tokens. */
export function byteLevelMetadata(options: ByteLevelOptions): Metadata {
  const { merges, special = [], pre = "gpt-2", more = {} } = options;
  const spelled = (text: string): string => spell(new TextEncoder().encode(text));
  const bytes = Array.from({ length: 256 }, (_, byte) => spell(Uint8Array.of(byte)));
  const pieces = [...new Set([...bytes, ...merges.map(([a, b]) => spelled(a + b))])];
  return withPrefix({
    model: "gpt2",
    pre,
    tokens: packStrings([...pieces, ...special.map(([text]) => text)]),
    token_type: Int32Array.from([...pieces.map(() => NORMAL), ...special.map(([, type]) => type)]),
    merges: packStrings(merges.map(([a, b]) => `${spelled(a)} ${spelled(b)}`)),
    ...more,
  });
}

export interface SentencePieceOptions {
  /** Text (with U+2581 for spaces) and score. */
  readonly pieces: readonly (readonly [string, number])[];
  /** With the 256 byte tokens. Default true. */
  readonly bytes?: boolean;
  readonly special?: readonly (readonly [string, number])[];
  readonly more?: Record<string, MetadataValue | undefined>;
}

/** SentencePiece BPE: <unk>, <s>, </s>, then bytes, then pieces, then special tokens. */
export function sentencePieceMetadata(options: SentencePieceOptions): Metadata {
  const { pieces, bytes = true, special = [], more = {} } = options;
  const entries: [string, number, number][] = [
    ["<unk>", UNKNOWN, 0],
    ["<s>", CONTROL, 0],
    ["</s>", CONTROL, 0],
  ];
  for (let byte = 0; bytes && byte < 256; byte++) {
    entries.push([`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, BYTE, 0]);
  }
  for (const [text, score] of pieces) entries.push([text, NORMAL, score]);
  for (const [text, type] of special) entries.push([text, type, 0]);
  return withPrefix({
    model: "llama",
    tokens: packStrings(entries.map(([text]) => text)),
    token_type: Int32Array.from(entries.map(([, type]) => type)),
    scores: Float32Array.from(entries.map(([, , score]) => score)),
    unknown_token_id: 0,
    bos_token_id: 1,
    eos_token_id: 2,
    ...more,
  });
}

/** Llama 3's sizes. */
const LARGE_PIECES = 128_000;
const LARGE_MERGES = 280_147;
const LARGE_SPECIAL = 256;

/** Letters of two bytes, and so many words of three of them; then words of four. */
const LARGE_LETTERS = 64;
const LARGE_TRIPLES = 94_000;

/**
 * A vocabulary of Llama 3's size and shape: 128,000 pieces of 6.6 bytes in the mean, 280,147
 * merges, 256 special tokens. Its letters are U+0100 to U+013F.
 */
export function largeMetadata(): Metadata {
  const random = randomSource(3);
  const letters = Array.from({ length: LARGE_LETTERS }, (_, i) =>
    spell(new TextEncoder().encode(String.fromCharCode(0x100 + i))),
  );
  const merges = new Set(letters.map((letter) => `${letter[0]} ${letter[1]}`));
  const pieces = new Set(Array.from({ length: 256 }, (_, byte) => spell(Uint8Array.of(byte))));
  /** Adds a word of letters, with all its splits into known pieces. */
  const add = (word: string): void => {
    for (let i = 2; i < word.length && !pieces.has(word); i += 2) {
      const [left, right] = [word.slice(0, i), word.slice(i)];
      if (pieces.has(left) && pieces.has(right)) merges.add(`${left} ${right}`);
    }
    pieces.add(word);
  };
  for (const letter of letters) add(letter);
  for (const a of letters) for (const b of letters) add(a + b);
  const letter = (): string => letters[random(LARGE_LETTERS)]!;
  const triples = new Set<string>();
  while (triples.size < LARGE_TRIPLES) triples.add(letter() + letter() + letter());
  for (const triple of triples) add(triple);
  for (const triple of triples) {
    if (pieces.size === LARGE_PIECES) break;
    const last = letter();
    if (triples.has(triple.slice(2) + last)) add(triple + last);
  }
  if (pieces.size !== LARGE_PIECES || merges.size < LARGE_MERGES) {
    throw new Error(`made ${pieces.size} pieces and ${merges.size} merges`);
  }
  const special = Array.from(
    { length: LARGE_SPECIAL },
    (_, i) => `<|reserved_special_token_${i}|>`,
  );
  const types = new Int32Array(LARGE_PIECES + LARGE_SPECIAL).fill(NORMAL);
  return withPrefix({
    model: "gpt2",
    pre: "llama-bpe",
    tokens: packStrings([...pieces, ...special]),
    token_type: types.fill(CONTROL, LARGE_PIECES),
    merges: packStrings([...merges].slice(0, LARGE_MERGES)),
    bos_token_id: LARGE_PIECES,
    eos_token_id: LARGE_PIECES + 1,
  });
}
