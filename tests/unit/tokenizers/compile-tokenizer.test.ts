import { describe, expect, test } from "vitest";
import type { MetadataValue } from "../../../src/formats/model-file.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import {
  byteLevelMetadata,
  CONTROL,
  type Metadata,
  NORMAL,
  packStrings,
  sentencePieceMetadata,
  USER_DEFINED,
} from "./vocabularies.ts";

const load = (metadata: Metadata): Tokenizer => loadTokenizer(compileTokenizer(metadata));

/** 258 tokens: bytes, "ab" and one control token. */
const byteLevel = (more: Record<string, MetadataValue | undefined> = {}): Metadata =>
  byteLevelMetadata({ merges: [["a", "b"]], special: [["<|c|>", CONTROL]], more });

/** 262 tokens. */
const sentencePiece = (more: Record<string, MetadataValue | undefined> = {}): Metadata =>
  sentencePieceMetadata({ pieces: ["▁", "a", "▁a"].map((piece, i) => [piece, -i]), more });

function without(metadata: Metadata, key: string): Metadata {
  metadata.delete(`tokenizer.ggml.${key}`);
  return metadata;
}

function retyped(metadata: Metadata, id: number, type: number): Metadata {
  (metadata.get("tokenizer.ggml.token_type") as Int32Array)[id] = type;
  return metadata;
}

describe("refuses metadata", () => {
  const tooLong = packStrings(["x".repeat(5000)]);
  test.each<[string, Metadata, string, string]>([
    ["without a tokenizer", new Map(), "bad_format", "model: missing"],
    [
      "of another kind",
      byteLevel({ model: "bert" }),
      "unsupported",
      "bert; supported: gpt2, llama",
    ],
    ["whose model is a number", byteLevel({ model: 1 }), "unsupported", "model: number"],
    ["of an unknown pattern", byteLevel({ pre: "tekken" }), "unsupported", "tekken; supported: "],
    ["whose pattern is a number", byteLevel({ pre: 7 }), "bad_format", "pre: not a string"],
    ["without tokens", without(byteLevel(), "tokens"), "bad_format", "tokens: missing"],
    ["with no token", byteLevel({ tokens: packStrings([]) }), "bad_format", "tokens: 0 of them"],
    ["whose tokens are numbers", byteLevel({ tokens: new Uint8Array(3) }), "bad_format", "tokens"],
    ["with a token of 5,000 bytes", byteLevel({ tokens: tooLong }), "bad_format", "5000 bytes"],
    [
      "with types for fewer tokens",
      byteLevel({ token_type: new Int32Array(3) }),
      "bad_format",
      "3 for 258",
    ],
    [
      "with a type that does not exist",
      retyped(byteLevel(), 4, 9),
      "bad_format",
      "token 4 has type 9",
    ],
    [
      "whose types are strings",
      byteLevel({ token_type: packStrings([]) }),
      "bad_format",
      "token_type",
    ],
    [
      "whose types are of 64 bits",
      byteLevel({ token_type: new BigInt64Array(258) }),
      "bad_format",
      "token_type",
    ],
    ["without merges", without(byteLevel(), "merges"), "bad_format", "merges: missing"],
    [
      "with a merge of one piece",
      byteLevel({ merges: packStrings(["ab"]) }),
      "bad_format",
      'merge 0 ("ab") is not',
    ],
    [
      "with a merge that ends early",
      byteLevel({ merges: packStrings(["a b", "a "]) }),
      "bad_format",
      "merge 1",
    ],
    [
      "with an empty merge",
      byteLevel({ merges: packStrings(["", "a b"]) }),
      "bad_format",
      "merge 0",
    ],
    [
      "with a merge of three pieces",
      byteLevel({ merges: packStrings(["a b c"]) }),
      "bad_format",
      "merge 0",
    ],
    [
      "with a merge of unknown pieces",
      byteLevel({ merges: packStrings(["b a"]) }),
      "bad_format",
      "no tokens",
    ],
    [
      "with a merge that is not spelled",
      byteLevel({ merges: packStrings(["中 a"]) }),
      "bad_format",
      "merge 0",
    ],
    [
      "whose BOS is outside",
      byteLevel({ bos_token_id: 258 }),
      "bad_format",
      "bos_token_id: 258 is none of 258",
    ],
    [
      "whose EOS is no integer",
      byteLevel({ eos_token_id: 1.5 }),
      "bad_format",
      "eos_token_id: 1.5",
    ],
    [
      "whose PAD is text",
      byteLevel({ padding_token_id: "x" }),
      "bad_format",
      "padding_token_id: x",
    ],
    ["that adds a BOS it lacks", byteLevel({ add_bos_token: true }), "bad_format", "add_bos_token"],
    [
      "that adds an EOS it lacks",
      byteLevel({ add_eos_token: true }),
      "bad_format",
      "add_eos_token",
    ],
    [
      "whose flag is a number",
      byteLevel({ add_bos_token: 1 }),
      "bad_format",
      "add_bos_token: not a boolean",
    ],
    ["without scores", without(sentencePiece(), "scores"), "bad_format", "scores: missing"],
    [
      "with fewer scores",
      sentencePiece({ scores: new Float32Array(2) }),
      "bad_format",
      "2 for 262",
    ],
    [
      "with a score that is NaN",
      sentencePiece({ scores: new Float32Array(262).fill(Number.NaN, 7) }),
      "bad_format",
      "token 7",
    ],
    [
      "with a byte that is spelled wrongly",
      retyped(sentencePiece(), 261, 6),
      "bad_format",
      "token 261 is a byte",
    ],
  ])("%s", (_, metadata, code, message) => {
    expect(() => compileTokenizer(metadata)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});

test("-1 and 2^32 - 1 stand for a token that does not exist", () => {
  const tokenizer = load(byteLevel({ bos_token_id: -1, padding_token_id: 0xffffffff }));
  expect(tokenizer.bosId).toBeUndefined();
  expect(tokenizer.padId).toBeUndefined();
});

describe("BOS and EOS", () => {
  const ids = { bos_token_id: 1, eos_token_id: 2 };
  test.each<[string, Metadata, number[]]>([
    ["byte-level BPE adds none by itself", byteLevel(ids), [0x61]],
    ["Llama 3 adds BOS by itself", byteLevel({ ...ids, pre: "llama-bpe" }), [1, 0x61]],
    ["Llama 3 without a BOS adds none", byteLevel({ pre: "llama-bpe" }), [0x61]],
    [
      "Llama 3 adds what it is told",
      byteLevel({ ...ids, pre: "llama-bpe", add_bos_token: false, add_eos_token: true }),
      [0x61, 2],
    ],
    ["SentencePiece adds BOS by itself", sentencePiece(), [1, 261]],
    [
      "SentencePiece adds what it is told",
      sentencePiece({ add_bos_token: false, add_eos_token: true }),
      [261, 2],
    ],
    [
      "SentencePiece adds no space when told so",
      sentencePiece({ add_space_prefix: false }),
      [1, 260],
    ],
  ])("%s", (_, metadata, expected) => {
    expect(load(metadata).encode("a")).toEqual(expected);
  });
});

test("a file without a pattern that has Llama 3's tokens is split as Llama 3", () => {
  const special = [["<|begin_of_text|>", CONTROL]] as const;
  const merges = [["1", "2"]] as const;
  const metadata = byteLevelMetadata({ merges, special, more: { pre: undefined } });
  // Llama 3 takes up to three digits as a word, SmolLM2 one, GPT-2 all.
  expect(load(metadata).encode("12 12")).toEqual([256, 32, 256]);
  const plain = byteLevelMetadata({ merges: [[" ", "1"]], more: { pre: undefined } });
  expect(load(plain).encode("1 1")).toEqual([0x31, 256]);
});

test("end-of-turn ids are those the file names, and special tokens known to end a turn", () => {
  const special = [
    ["<|im_end|>", CONTROL],
    ["<|eot_id|>", USER_DEFINED],
    ["</s>", NORMAL],
    ["<|end_of_text|>", CONTROL],
    ["<|other|>", CONTROL],
  ] as const;
  const more = { eos_token_id: 260, eot_token_id: 7, eom_token_id: 3 };
  expect(load(byteLevelMetadata({ merges: [], special, more })).eogIds).toEqual([
    3, 7, 256, 257, 259, 260,
  ]);
  expect(load(sentencePiece()).eogIds).toEqual([2]);
});

test("without token types, the special tokens that the file names are not text", () => {
  const tokenizer = load(without(sentencePiece(), "token_type"));
  expect([0, 1, 2, 3, 259].map((id) => tokenizer.isSpecial(id))).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(tokenizer.specialIds()).toEqual([0, 1, 2]);
  // Byte tokens are known by their spelling.
  expect(tokenizer.encode("é")).toEqual([1, 259, 3 + 0xc3, 3 + 0xa9]);
  expect(tokenizer.decode([3 + 0xc3, 3 + 0xa9])).toBe("é");
});

test("of tokens with the same spelling the last one counts, as in llama.cpp", () => {
  const metadata = byteLevelMetadata({ merges: [], special: [["a", NORMAL]] });
  expect(load(metadata).encode("ab")).toEqual([256, 0x62]);
});

test("a token that spells no bytes is written as it is", () => {
  const tokenizer = load(byteLevelMetadata({ merges: [], special: [["中 文", NORMAL]] }));
  expect(tokenizer.decode([256, 0x61])).toBe("中 文a");
  expect(tokenizer.tokenText(256)).toBe("中 文");
  expect(tokenizer.tokenId("中 文")).toBe(256);
});

test("tokens chosen to collide in the hash table are refused", () => {
  // The Thue-Morse word of 128 letters and its complement have equal polynomial hashes modulo
  // 2^32 for any odd base, and so has any chain of them.
  const morse = (flip: number): string =>
    Array.from({ length: 128 }, (_, i) => {
      let ones = flip;
      for (let n = i; n > 0; n >>= 1) ones += n & 1;
      return ones % 2 === 0 ? "a" : "b";
    }).join("");
  const blocks = [morse(0), morse(1)];
  const tokens = Array.from({ length: 2048 }, (_, n) =>
    Array.from({ length: 11 }, (_, bit) => blocks[(n >> bit) & 1]).join(""),
  );
  const metadata = byteLevelMetadata({ merges: [], special: tokens.map((t) => [t, NORMAL]) });
  expect(() => compileTokenizer(metadata)).toThrow(
    expect.objectContaining({ code: "bad_format", message: expect.stringContaining("collide") }),
  );
});
