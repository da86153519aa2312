import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { byteLevelMetadata, CONTROL, randomSource, sentencePieceMetadata } from "./vocabularies.ts";

const byteLevel = compileTokenizer(
  byteLevelMetadata({
    merges: [
      ["a", "b"],
      ["ab", "ab"],
    ],
    special: [["<|c|>", CONTROL]],
    more: { bos_token_id: 258, eos_token_id: 258, add_bos_token: true, add_eos_token: true },
  }),
);
const sentencePiece = compileTokenizer(
  sentencePieceMetadata({ pieces: ["▁", "a", "▁a", "中a"].map((piece, i) => [piece, -i]) }),
);

/** A copy with some 32-bit words changed, by their number. */
function patched(block: Uint8Array, words: Record<number, number>): Uint8Array {
  const copy = block.slice();
  for (const [at, value] of Object.entries(words)) {
    new DataView(copy.buffer).setUint32(Number(at) * 4, value, true);
  }
  return copy;
}

const word = (block: Uint8Array, at: number): number =>
  new DataView(block.buffer).getUint32(at * 4, true);

// Words of the header and of what follows it, by the layout in vocabulary.ts.
const [VERSION, KIND, FLAGS, BOS, VOCAB, PIECE_SLOTS, EOG, PAIRS] = [1, 2, 4, 5, 9, 10, 12, 13];
const OFFSETS = 20;
const SLOTS = OFFSETS + word(byteLevel, VOCAB) + 1;
const BYTE_TOKENS = SLOTS + word(byteLevel, PIECE_SLOTS);
const EOG_IDS = BYTE_TOKENS + 256 + word(byteLevel, 11);
const LEFT = EOG_IDS + word(byteLevel, EOG);
const MERGED = LEFT + 2 * word(byteLevel, PAIRS);
const PAIR_SLOTS = MERGED + word(byteLevel, PAIRS) + word(byteLevel, 14);

/** Behind <unk>, <s> and </s>. */
const FIRST_BYTE = 3;

function filled(from: number, count: number, value: number): Record<number, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [from + i, value]));
}

describe("refuses a compiled tokenizer", () => {
  test.each<[string, Uint8Array, string, string]>([
    ["of no bytes", new Uint8Array(0), "bad_format", "0 bytes is too short"],
    ["that is something else", patched(byteLevel, { 0: 1 }), "bad_format", "not a compiled"],
    ["of another version", patched(byteLevel, { [VERSION]: 2 }), "unsupported", "version 2"],
    [
      "with a byte token of no byte",
      patched(sentencePiece, {
        [OFFSETS + FIRST_BYTE + 1]: word(sentencePiece, OFFSETS + FIRST_BYTE),
      }),
      "bad_format",
      "not one byte",
    ],
    ["of an unknown kind", patched(byteLevel, { [KIND]: 2 }), "bad_format", "kind 2"],
    ["with unknown flags", patched(byteLevel, { [FLAGS]: 64 }), "bad_format", "flags 64"],
    ["with more bytes", new Uint8Array([...byteLevel, 0, 0, 0, 0]), "bad_format", "its header"],
    ["with a huge vocabulary", patched(byteLevel, { [VOCAB]: 1 << 30 }), "bad_format", "tokens"],
    ["with huge merges", patched(byteLevel, { [PAIRS]: 0xffffffff }), "bad_format", "merges"],
    [
      "with a huge table",
      patched(byteLevel, { [PIECE_SLOTS]: 0xffffffff }),
      "bad_format",
      "header",
    ],
    ["whose BOS is outside", patched(byteLevel, { [BOS]: 259 }), "bad_format", "special id"],
    ["that adds no BOS", patched(byteLevel, { [BOS]: 0xffffffff }), "bad_format", "BOS"],
    ["whose offsets go back", patched(byteLevel, { [OFFSETS + 3]: 99 }), "bad_format", "offsets"],
    [
      "whose offsets pass its bytes",
      patched(byteLevel, { [SLOTS - 1]: 1 << 20 }),
      "bad_format",
      "offsets",
    ],
    [
      "whose table is full",
      patched(byteLevel, filled(SLOTS, word(byteLevel, PIECE_SLOTS), 1)),
      "bad_format",
      "piece table",
    ],
    [
      "whose table leads outside",
      patched(byteLevel, { [SLOTS]: 260 }),
      "bad_format",
      "piece table",
    ],
    [
      "whose byte token is outside",
      patched(byteLevel, { [BYTE_TOKENS]: 259 }),
      "bad_format",
      "byte token",
    ],
    ["whose end is outside", patched(byteLevel, { [EOG_IDS]: 259 }), "bad_format", "end-of-turn"],
    ["whose merge is outside", patched(byteLevel, { [LEFT]: 259 }), "bad_format", "merge of"],
    ["whose merge gives no token", patched(byteLevel, { [MERGED]: 259 }), "bad_format", "merge of"],
    [
      "whose merge table is full",
      patched(byteLevel, filled(PAIR_SLOTS, 16, 1)),
      "bad_format",
      "merge table",
    ],
    [
      "whose merge table leads outside",
      patched(byteLevel, { [PAIR_SLOTS]: 4 }),
      "bad_format",
      "merge table",
    ],
  ])("%s", (_, block, code, message) => {
    expect(() => loadTokenizer(block)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});

describe.each([
  ["byte-level", byteLevel],
  ["SentencePiece", sentencePiece],
])("%s", (_, block) => {
  test("cut off anywhere, it is refused", () => {
    for (let length = 0; length < block.length; length += 1 + (length >> 6)) {
      expect(() => loadTokenizer(block.subarray(0, length))).toThrow(
        expect.objectContaining({ code: "bad_format" }),
      );
    }
  });

  test("damaged anywhere, it is refused, or still encodes to ids that it has", () => {
    const random = randomSource(2);
    for (let n = 0; n < 4000; n++) {
      const damaged = block.slice();
      damaged[random(random(2) === 0 ? 80 : block.length)]! ^= 1 << random(8);
      try {
        const tokenizer = loadTokenizer(damaged);
        const ids = tokenizer.encode("abab 中a <|c|> \ud800", { parseSpecial: true });
        expect(ids.every((id) => id >= 0 && id < tokenizer.vocabSize)).toBe(true);
        tokenizer.decode(ids);
        tokenizer.tokenText(ids[0] ?? 0);
        tokenizer.tokenId("ab");
      } catch (error) {
        expect(error).toBeInstanceOf(PronkError);
      }
    }
  });
});
