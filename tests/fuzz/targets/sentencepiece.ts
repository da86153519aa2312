/** SentencePiece's tokenizer.model: read, compiled, used. */
import { compileSentencePieceModel } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { Broken, type Layout, type LayoutReader, layoutOf } from "../layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { tokenize } from "../tokenize.ts";
import { usable } from "../usable.ts";

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
const sized = (field: number, bytes: ArrayLike<number>): number[] => [
  ...varint((field << 3) | 2),
  ...varint(bytes.length),
  ...Array.from(bytes),
];
const number = (field: number, value: number): number[] => [
  ...varint(field << 3),
  ...varint(value),
];
const text = (field: number, value: string): number[] =>
  sized(field, new TextEncoder().encode(value));
const float = (field: number, value: number): number[] => [
  (field << 3) | 5,
  ...new Uint8Array(Float32Array.of(value).buffer),
];

/** Text, score and type of a piece. */
type Piece = readonly [string, number, number?];

function model(pieces: readonly Piece[], trainer: number[], normalizer: number[]): Uint8Array {
  const messages = pieces.map(([piece, score, type]) =>
    sized(1, [...text(1, piece), ...float(2, score), ...(type ? number(3, type) : [])]),
  );
  return Uint8Array.from([...messages.flat(), ...sized(2, trainer), ...sized(3, normalizer)]);
}

const SPECIAL: Piece[] = [
  ["<unk>", 0, 2],
  ["<s>", 0, 3],
  ["</s>", 0, 3],
];
const BYTES: Piece[] = Array.from({ length: 256 }, (_, byte) => [
  `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  0,
  6,
]);
const WORDS: Piece[] = [
  ["\u2581", -1],
  ["a", -2],
  ["b", -3],
  ["ab", -4],
  ["\u2581a", -5],
  ["<user>", 0, 4],
  ["aab", -6.5],
];

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  // The tag of a piece.
  if (input[0] === 0x0a) probe.pastHeader();
  const block = compileSentencePieceModel(input);
  const tokenizer = await usable("the vocabulary", () => loadTokenizer(block));
  // Every byte of a token is one of the file.
  const { length } = tokenizer.allTokenBytes().bytes;
  if (length > input.length) throw new Error(`${length} bytes of tokens`);
  probe.saw(`${Math.log2(1 + (await tokenize(tokenizer))) | 0} ids`);
}

/** Fields of messages: those of pieces and specifications in turn. */
function wire(reader: LayoutReader, end: number, depth: number): void {
  while (reader.at < end) {
    const start = reader.at;
    const tag = varintField(reader);
    if ((tag & 7) === 0) varintField(reader);
    else if ((tag & 7) === 5) reader.skip("float", 4);
    else if ((tag & 7) === 1) reader.skip("float", 8);
    else if ((tag & 7) === 2) {
      const length = reader.at;
      const bytes = varintField(reader);
      const field = { kind: "varint", start: length, end: reader.at } as const;
      const inner = reader.at;
      if (inner + bytes > end) throw new Broken();
      reader.layout.extent(field, inner, inner + bytes);
      if (depth === 0) wire(reader, inner + bytes, 1);
      else reader.skip("text", bytes);
    } else throw new Broken();
    reader.layout.section(`field ${depth}`, start, reader.at);
  }
}

function varintField(reader: LayoutReader): number {
  const start = reader.at;
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined || shift > 63) throw new Broken();
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  reader.layout.field("varint", start, reader.at);
  return value;
}

export const target: FuzzTarget = {
  seeds: () => [
    model(
      [...SPECIAL, ...WORDS],
      [...number(3, 2), ...number(40, 0), ...number(41, 1)],
      [...number(3, 1), ...number(4, 0)],
    ),
    model(
      [...SPECIAL, ...BYTES, ...WORDS],
      [...number(3, 2), ...number(35, 1)],
      [...number(3, 0), ...number(4, 0)],
    ),
  ],
  layout: (input): Layout => layoutOf(input, (reader) => wire(reader, input.length, 0)),
  words: ["<unk>", "<s>", "<0x0A>", "<0xFF>", "\u2581\u2581", "a", "ab", "aabb", "</s>"],
  run,
  planted: {
    name: "special tokens that are none of the pieces",
    file: "src/tokenizers/sentencepiece-model.ts",
    find: "value >= 0 && value < pieces && types[value] === type ? value",
    replace: "value >= 0 ? value",
  },
};
