import { describe, expect, test } from "vitest";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import type { DecodeOptions, Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import {
  byteLevelMetadata,
  CONTROL,
  NORMAL,
  randomSource,
  sentencePieceMetadata,
} from "./vocabularies.ts";

const byteLevel = loadTokenizer(
  compileTokenizer(byteLevelMetadata({ merges: [[" ", "a"]], special: [["<|a|>", CONTROL]] })),
);
const sentencePiece = loadTokenizer(
  compileTokenizer(
    sentencePieceMetadata({ pieces: ["▁", "a", "▁a", "é"].map((piece, i) => [piece, -i]) }),
  ),
);

function stream(tokenizer: Tokenizer, ids: readonly number[], options?: DecodeOptions): string[] {
  const decoder = tokenizer.createDecoder(options);
  return [...ids.map((id) => decoder.push(id)), decoder.flush()];
}

/** A token for each byte. */
const bytes = (tokenizer: Tokenizer, ...values: number[]): number[] =>
  values.map((value) => (tokenizer === byteLevel ? value : value + 3));

describe.each([
  ["byte-level", byteLevel],
  ["SentencePiece", sentencePiece],
])("%s", (_, tokenizer) => {
  test("a code point comes out whole, with its last byte", () => {
    const ids = bytes(tokenizer, 0xf0, 0x9f, 0x98, 0x80, 0xc3, 0xa9, 0x61);
    expect(stream(tokenizer, ids)).toEqual(["", "", "", "😀", "", "é", "a", ""]);
  });

  test("bytes that can no longer become a character come out as U+FFFD at once", () => {
    expect(stream(tokenizer, bytes(tokenizer, 0xff, 0x61))).toEqual(["\ufffd", "a", ""]);
    expect(stream(tokenizer, bytes(tokenizer, 0xc3, 0x61))).toEqual(["", "\ufffda", ""]);
    expect(stream(tokenizer, bytes(tokenizer, 0xed, 0xa0))).toEqual(["", "\ufffd\ufffd", ""]);
  });

  test("an unfinished character is U+FFFD in the end", () => {
    expect(stream(tokenizer, bytes(tokenizer, 0x61, 0xc3))).toEqual(["a", "", "\ufffd"]);
    const decoder = tokenizer.createDecoder();
    expect([decoder.flush(), decoder.flush()]).toEqual(["", ""]);
  });

  test("parts join to the decoded text, for any tokens", () => {
    const random = randomSource(5);
    // Bytes of two and four that fit together now and then.
    const likely = bytes(tokenizer, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80, 0xe2, 0x82, 0xed, 0xa0);
    for (let n = 0; n < 5000; n++) {
      const ids = Array.from({ length: random(30) }, () =>
        random(3) > 0 ? likely[random(likely.length)]! : random(tokenizer.vocabSize),
      );
      for (const options of [{}, { skipSpecialTokens: true }, { continuation: true }]) {
        expect(stream(tokenizer, ids, options).join("")).toBe(tokenizer.decode(ids, options));
      }
    }
  });
});

test("an ill-formed part is one U+FFFD in byte-level BPE, one a byte in SentencePiece", () => {
  expect(byteLevel.decode(bytes(byteLevel, 0xf0, 0x9f, 0x98, 0x61))).toBe("\ufffda");
  expect(sentencePiece.decode(bytes(sentencePiece, 0xf0, 0x9f, 0x98, 0x61))).toBe(
    "\ufffd\ufffd\ufffda",
  );
});

test("a space is dropped at the start of a text only, and after tokens that are left out", () => {
  const space = sentencePiece.tokenId("▁a")!;
  expect(stream(sentencePiece, [space, space])).toEqual(["a", " a", ""]);
  expect(stream(sentencePiece, [1, space], { skipSpecialTokens: true })).toEqual(["", "a", ""]);
  expect(stream(sentencePiece, [1, space])).toEqual(["<s>", " a", ""]);
});

test("no sequence of tokens is held back for ever", () => {
  // The token A9 C3 completes a character and begins the next one.
  const tokenizer = loadTokenizer(
    compileTokenizer(byteLevelMetadata({ merges: [], special: [["\u00a9\u00c3", NORMAL]] })),
  );
  const decoder = tokenizer.createDecoder();
  const parts = [0xc3, ...Array<number>(300).fill(256)].map((id) => decoder.push(id));
  const text = parts.join("");
  expect(text.length).toBeGreaterThan(250);
  expect(text + decoder.flush()).toBe(`${"é".repeat(300)}\ufffd`);
});

test("a byte order mark is text", () => {
  const ids = byteLevel.encode("\ufeffa");
  expect(byteLevel.decode(ids)).toBe("\ufeffa");
  expect(stream(byteLevel, ids).join("")).toBe("\ufeffa");
});
