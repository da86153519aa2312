import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compileBpeModel } from "../../../src/tokenizers/compile-bpe-model.ts";
import { compileSentencePieceModel } from "../../../src/tokenizers/compile-tokenizer.ts";
import { SegmentEncoder } from "../../../src/tokenizers/segment-encoder.ts";
import { readTokenizerJson } from "../../../src/tokenizers/tokenizer-json.ts";
import {
  readVocabulary,
  type Vocabulary,
  type VocabularyParts,
  writeVocabulary,
} from "../../../src/tokenizers/vocabulary.ts";

const goldens = new URL("../../goldens/tokenizers/", import.meta.url);
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(new URL(path, goldens)));

/** Of a tokenizer.json; `drop` leaves out the tokens of some bytes. */
function ofJson(path: string, drop: (byte: number) => boolean = () => false): Vocabulary {
  const parts = compileBpeModel(readTokenizerJson(read(path)), "byte-level");
  const byteTokens = parts.byteTokens.map((id, byte) => (drop(byte) ? 0xffffffff : id));
  const rest = { addBos: false, addEos: false, addSpacePrefix: false, pattern: "llama-3" } as const;
  const ids = { bosId: undefined, eosId: undefined, padId: undefined, eogIds: new Uint32Array(0) };
  return readVocabulary(
    writeVocabulary({ ...parts, byteTokens, ...rest, ...ids } as VocabularyParts),
  );
}

function ofSentencePiece(drop: boolean): Vocabulary {
  const block = compileSentencePieceModel(read("llama2_sp/tokenizer.model"));
  const vocabulary = readVocabulary(block);
  // Without bytes, unknown characters are the unknown token.
  const byteTokens = drop ? new Uint32Array(256).fill(0xffffffff) : vocabulary.byteTokens;
  return readVocabulary(writeVocabulary({ ...vocabulary, byteTokens }));
}

const WORDS = [
  ..."the quick na\u00efve caf\u00e9 \u65e5\u672c\u8a9e \ud83d\ude00\ud83d\ude00 a\u2581b \u2581x \ud800 e\u0301 zz\ud835\udfd8 \u0416\u0416".split(
    " ",
  ),
  "\u2603\u2603x\u2603",
  "x\u2603",
  "\u0000",
];

describe.each([
  ["byte-level", ofJson("llama3_tiktoken/hf/tokenizer.json")],
  [
    "byte-level without some bytes",
    ofJson("llama3_tiktoken/hf/tokenizer.json", (b) => b > 0xc0 && b % 3 === 0),
  ],
  ["with byte fallback", ofSentencePiece(false)],
  ["with an unknown token", ofSentencePiece(true)],
])("%s", (_, vocabulary) => {
  test("a word that was seen before has the places that it had the first time", () => {
    const encoder = new SegmentEncoder(vocabulary);
    const encode = (text: string): { ids: number[]; places: number[] } => {
      const ids: number[] = [];
      const places: number[] = [];
      encoder.encode(text, 0, text.length, false, ids, places);
      return { ids, places };
    };
    for (const word of WORDS.flatMap((word) => [word, ` ${word}`])) {
      const fresh: number[] = [];
      const ids: number[] = [];
      new SegmentEncoder(vocabulary).encode(word, 0, word.length, false, ids, fresh);
      encode(word);
      expect(encode(word), JSON.stringify(word)).toEqual({ ids, places: fresh });
      expect(fresh).toHaveLength(2 * ids.length);
    }
  });
});
