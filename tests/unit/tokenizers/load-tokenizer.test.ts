import { describe, expect, test } from "vitest";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import {
  byteLevelMetadata,
  CONTROL,
  type Metadata,
  randomSource,
  sentencePieceMetadata,
  USER_DEFINED,
} from "./vocabularies.ts";

const load = (metadata: Metadata): Tokenizer => loadTokenizer(compileTokenizer(metadata));

const byteLevel = load(
  byteLevelMetadata({
    merges: [
      [" ", "h"],
      ["i", "i"],
    ],
    special: [
      ["<|a|>", CONTROL],
      ["<|a|>b", CONTROL],
      ["<tool>", USER_DEFINED],
    ],
    more: { bos_token_id: 258, eos_token_id: 259, add_bos_token: true, add_eos_token: true },
  }),
);
const [A, AB, TOOL] = [258, 259, 260];

const sentencePiece = load(
  sentencePieceMetadata({
    pieces: ["▁", "h", "i", "▁h", "▁hi", "▁▁"].map((piece, i) => [piece, -i]),
    special: [
      ["<tool>", USER_DEFINED],
      ["  x", USER_DEFINED],
    ],
  }),
);
const PIECE = 259;

test("BOS and EOS are added as the model says, and not when they are not wanted", () => {
  expect(byteLevel.encode("i")).toEqual([A, 0x69, AB]);
  expect(byteLevel.encode("i", { addSpecialTokens: false })).toEqual([0x69]);
  expect(sentencePiece.encode("hi")).toEqual([1, PIECE + 4]);
  expect(sentencePiece.encode("")).toEqual([1]);
  expect(byteLevel.encode("", { addSpecialTokens: false })).toEqual([]);
});

test("the text of a control token is text unless it is asked to be parsed", () => {
  const plain = byteLevel.encode("<|a|>", { addSpecialTokens: false });
  expect(plain).toEqual([...new TextEncoder().encode("<|a|>")]);
  expect(plain.some((id) => byteLevel.isSpecial(id))).toBe(false);
  expect(sentencePiece.encode("<s>", { addSpecialTokens: false })).not.toContain(1);
  const parsed = { addSpecialTokens: false, parseSpecial: true };
  expect(byteLevel.encode("i<|a|>i", parsed)).toEqual([0x69, A, 0x69]);
  expect(sentencePiece.encode("<unk></s>", parsed)).toEqual([0, 2]);
});

test("of special tokens that begin at one place the longest is taken", () => {
  const options = { addSpecialTokens: false, parseSpecial: true };
  expect(byteLevel.encode("<|a|>b<|a|>c<|a", options)).toEqual([
    AB,
    A,
    ...new TextEncoder().encode("c<|a"),
  ]);
});

test("user-defined tokens are found in any text", () => {
  expect(byteLevel.encode("i<tool>i", { addSpecialTokens: false })).toEqual([0x69, TOOL, 0x69]);
  expect(byteLevel.isSpecial(TOOL)).toBe(false);
  const ids = sentencePiece.encode("hi<tool>hi", { addSpecialTokens: false });
  expect(ids).toEqual([PIECE + 4, PIECE + 6, PIECE + 4]);
  expect(sentencePiece.decode(ids)).toBe("hi<tool> hi");
});

test("a user-defined token with spaces is found and written with spaces", () => {
  const ids = sentencePiece.encode("h  x", { addSpecialTokens: false });
  expect(ids).toEqual([PIECE + 3, PIECE + 7]);
  expect(sentencePiece.decode(ids)).toBe("h  x");
  expect(sentencePiece.tokenText(PIECE + 7)).toBe("  x");
  expect(sentencePiece.tokenId("  x")).toBe(PIECE + 7);
});

test("offsets are UTF-16 units of the text, the whole character for a part of one", () => {
  const options = { addSpecialTokens: false, parseSpecial: true };
  expect(byteLevel.encodeWithOffsets("é😀ii<|a|> h", options).offsets).toEqual([
    [0, 1],
    [0, 1],
    [1, 3],
    [1, 3],
    [1, 3],
    [1, 3],
    [3, 5],
    [5, 10],
    [10, 12],
  ]);
  // The space that is added before a text is at its first character.
  expect(sentencePiece.encodeWithOffsets("xhi😀", { addSpecialTokens: true })).toEqual({
    ids: [1, PIECE, 3 + 0x78, PIECE + 1, PIECE + 2, 3 + 0xf0, 3 + 0x9f, 3 + 0x98, 3 + 0x80],
    offsets: [
      [0, 0],
      [0, 1],
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 5],
      [3, 5],
      [3, 5],
      [3, 5],
    ],
  });
});

describe.each([
  ["byte-level", byteLevel],
  ["SentencePiece", sentencePiece],
])("%s", (_, tokenizer) => {
  const plain = { addSpecialTokens: false };

  test("every text comes back from its tokens; lone surrogates as U+FFFD", () => {
    const random = randomSource(11);
    const alphabet = [..."hi h  \n\0<|a>é中😀\ufeff\ufffd", "\ud800", "\udfff"];
    for (let n = 0; n < 3000; n++) {
      const length = random(20);
      const text = Array.from({ length }, () => alphabet[random(alphabet.length)]).join("");
      const ids = tokenizer.encode(text, plain);
      expect(tokenizer.decode(ids)).toBe(text.replaceAll(/\p{Cs}/gu, "\ufffd"));
      // Once more, from the cache of words; and without it.
      expect(tokenizer.encode(text, plain)).toEqual(ids);
      expect(tokenizer.encodeWithOffsets(text, plain).ids).toEqual(ids);
    }
  });

  test("offsets cover the text in order", () => {
    const text = "hi 😀  h\ni <|a|> é中 h";
    const { offsets } = tokenizer.encodeWithOffsets(text, plain);
    expect(offsets[0]?.[0]).toBe(0);
    expect(offsets.at(-1)?.[1]).toBe(text.length);
    for (let i = 1; i < offsets.length; i++) {
      const [start, end] = offsets[i]!;
      const [previousStart, previousEnd] = offsets[i - 1]!;
      expect(start === previousEnd || start === previousStart).toBe(true);
      expect(end).toBeGreaterThan(start);
    }
  });

  test("the spelling of every token finds it again", () => {
    for (let id = 0; id < tokenizer.vocabSize; id++) {
      expect(tokenizer.tokenId(tokenizer.tokenText(id)), tokenizer.tokenText(id)).toBe(id);
    }
    expect(tokenizer.tokenId("no such piece")).toBeUndefined();
    expect(tokenizer.tokenId("")).toBeUndefined();
  });

  test("an id outside the vocabulary is refused by name", () => {
    for (const id of [-1, tokenizer.vocabSize, 1.5, Number.NaN]) {
      const refused = expect.objectContaining({
        code: "bad_request",
        message: expect.stringContaining(String(id)),
      });
      expect(() => tokenizer.decode([0, id])).toThrow(refused);
      expect(() => tokenizer.tokenBytes(id)).toThrow(refused);
      expect(() => tokenizer.tokenText(id)).toThrow(refused);
      expect(() => tokenizer.isSpecial(id)).toThrow(refused);
      expect(() => tokenizer.createDecoder().push(id)).toThrow(refused);
    }
  });

  test("a million characters without a word's end are encoded, and come back", () => {
    for (const text of [" ".repeat(1e6), "h".repeat(1e5), "hi".repeat(5e4), "\n".repeat(1e5)]) {
      expect(tokenizer.decode(tokenizer.encode(text, plain))).toBe(text);
    }
  });
});

test("bytes that the vocabulary lacks are left out", () => {
  const metadata = byteLevelMetadata({ merges: [["a", "b"]] });
  // Without the byte 0xC3, "é" (C3 A9) has only its second byte; the types take the place's token.
  const types = metadata.get("tokenizer.ggml.token_type") as Int32Array;
  types[0xc3] = CONTROL;
  expect(load(metadata).encode("aéb")).toEqual([0x61, 0xa9, 0x62]);
});

test("without byte tokens, neighbouring unknown characters are one unknown token", () => {
  const tokenizer = load(
    sentencePieceMetadata({
      pieces: [
        ["▁", -1],
        ["a", -2],
      ],
      bytes: false,
    }),
  );
  expect(tokenizer.encodeWithOffsets("aéè a中")).toEqual({
    ids: [1, 3, 4, 0, 3, 4, 0],
    offsets: [
      [0, 0],
      [0, 1],
      [0, 1],
      [1, 3],
      [3, 4],
      [4, 5],
      [5, 6],
    ],
  });
});

test("a space that is no piece is the bytes of U+2581, also the one before a text", () => {
  const tokenizer = load(sentencePieceMetadata({ pieces: [["a", 0]] }));
  const space = [0xe2, 0x96, 0x81].map((byte) => 3 + byte);
  expect(tokenizer.encode("a a")).toEqual([1, ...space, 259, ...space, 259]);
});

test("a compiled tokenizer may lie anywhere in memory", () => {
  const compiled = compileTokenizer(byteLevelMetadata({ merges: [["a", "b"]] }));
  const shifted = new Uint8Array(compiled.length + 3).subarray(3);
  shifted.set(compiled);
  expect(loadTokenizer(shifted).encode("cab")).toEqual([0x63, 256]);
});

test("a decoder that continues a text keeps the space that begins it", () => {
  const ids = sentencePiece.encode("hi", { addSpecialTokens: false });
  expect(sentencePiece.decode(ids)).toBe("hi");
  expect(sentencePiece.decode(ids, { continuation: true })).toBe(" hi");
  const decoder = sentencePiece.createDecoder({ continuation: true });
  expect(decoder.push(ids[0]!)).toBe(" hi");
});

test("skipping special tokens leaves out control and unknown tokens only", () => {
  const ids = [1, 0, PIECE + 4, PIECE + 6, 2];
  expect(sentencePiece.decode(ids)).toBe("<s><unk> hi<tool></s>");
  expect(sentencePiece.decode(ids, { skipSpecialTokens: true })).toBe("hi<tool>");
});

test("lists the special tokens that it knows one by one, ascending", () => {
  const all = Array.from({ length: byteLevel.vocabSize }, (_, id) => id);
  const special = all.filter((id) => byteLevel.isSpecial(id));
  expect(special.length).toBeGreaterThan(1);
  expect(byteLevel.specialIds()).toEqual(special);
});
