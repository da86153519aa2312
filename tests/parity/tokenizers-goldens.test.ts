/** Tokens, offsets and texts of the real implementations: Hugging Face, SentencePiece, tiktoken. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { compileTokenizer } from "../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizers/load-tokenizer.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { metadataOfFile } from "../unit/tokenizers/vocabularies.ts";

const FOLDER = "tests/goldens/tokenizers";

/** One text through one tokenizer; offsets in code points. */
interface GoldenCase {
  readonly s: number;
  readonly ids: number[];
  readonly ids_no_special: number[];
  readonly offsets: [number, number][];
  readonly special_mask: number[];
  readonly decode: string;
  readonly decode_full: string;
  readonly decode_skip: string;
  /** Of Llama 3: `decode` and the others have their spaces cleaned up, which is not decoding. */
  readonly decode_raw?: string;
  readonly stream?: (string | null)[];
  readonly stream_skip?: (string | null)[];
  readonly tokens?: string[];
}

interface Golden {
  readonly cases: GoldenCase[];
  /** Without special tokens in the text. */
  readonly sentencepiece?: { s: number; ids: number[]; decode: string }[];
  readonly tiktoken?: { s: number; ordinary: number[]; all_special: number[] }[];
  readonly chats?: { text: string | null; ids?: number[] }[];
}

const read = (name: string): unknown => JSON.parse(readFileSync(`${FOLDER}/${name}`, "utf8"));
const { strings } = read("strings.json") as { strings: string[] };

/** UTF-16 units before each code point. */
function unitOffsets(text: string): number[] {
  const units = [0];
  for (const character of text) units.push(units.at(-1)! + character.length);
  return units;
}

/** Hugging Face's stream holds back a real U+FFFD for ever, as it cannot tell it from a broken one. */
const holdsBack = (text: string): boolean => text.includes("\ufffd");

function testGoldens(golden: Golden, tokenizerOf: () => Tokenizer): void {
  const parsed = { parseSpecial: true } as const;
  const plain = { addSpecialTokens: false } as const;

  test("ids, with special tokens and without", () => {
    const tokenizer = tokenizerOf();
    for (const { s, ids, ids_no_special, special_mask } of golden.cases) {
      const text = strings[s]!;
      expect(tokenizer.encode(text, parsed), text).toEqual(ids);
      expect(tokenizer.encode(text, { ...parsed, ...plain }), text).toEqual(ids_no_special);
      // The mask marks what was added; it is all in front.
      const added = ids.length - ids_no_special.length;
      expect(special_mask).toEqual(ids.map((_, i) => (i < added ? 1 : 0)));
    }
  });

  test("offsets", () => {
    for (const { s, ids, offsets } of golden.cases) {
      const text = strings[s]!;
      const units = unitOffsets(text);
      expect(tokenizerOf().encodeWithOffsets(text, parsed), text).toEqual({
        ids,
        offsets: offsets.map(([start, end]) => [units[start], units[end]]),
      });
    }
  });

  test("decoded texts", () => {
    const tokenizer = tokenizerOf();
    for (const golden_ of golden.cases) {
      const { ids, ids_no_special, decode, decode_raw, decode_full, decode_skip } = golden_;
      expect(tokenizer.decode(ids_no_special)).toBe(decode_raw ?? decode);
      if (decode_raw !== undefined) continue;
      expect(tokenizer.decode(ids)).toBe(decode_full);
      expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(decode_skip);
    }
  });

  test("streamed texts, token by token", () => {
    for (const { s, ids_no_special, stream, stream_skip } of golden.cases) {
      if (holdsBack(strings[s]!)) continue;
      for (const [steps, skipSpecialTokens] of [
        [stream, false],
        [stream_skip, true],
      ] as const) {
        if (steps === undefined) continue;
        const decoder = tokenizerOf().createDecoder({ skipSpecialTokens });
        expect(ids_no_special.map((id) => decoder.push(id))).toEqual(steps.map((t) => t ?? ""));
        expect(decoder.flush()).toBe("");
      }
    }
  });

  test("spellings of tokens", () => {
    for (const { ids_no_special, tokens } of golden.cases) {
      if (tokens === undefined) continue;
      expect(ids_no_special.map((id) => tokenizerOf().tokenText(id))).toEqual(tokens);
      expect(tokens.map((token) => tokenizerOf().tokenId(token))).toEqual(ids_no_special);
    }
  });

  test("chat prompts", () => {
    for (const { text, ids } of golden.chats ?? []) {
      if (text === null || ids === undefined) continue;
      expect(tokenizerOf().encode(text, { ...parsed, ...plain })).toEqual(ids);
    }
  });
}

describe("Llama 2 (SentencePiece)", () => {
  const golden = read("llama2.json") as Golden;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = loadTokenizer(compileTokenizer(await metadataOfFile(`${FOLDER}/tok_sp.gguf`)));
  });
  // transformers' chat ids come from the slow tokenizer's default variant, not from this one.
  testGoldens({ ...golden, chats: [] }, () => tokenizer);

  test("SentencePiece itself, which reads no special tokens in a text", () => {
    for (const { s, ids, decode } of golden.sentencepiece!) {
      expect(tokenizer.encode(strings[s]!, { addSpecialTokens: false })).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decode);
    }
  });
});

describe("Llama 3 (byte-level BPE)", () => {
  const golden = read("llama3.json") as Golden & { fairseq2: Golden["chats"] };
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = loadTokenizer(compileTokenizer(await metadataOfFile(`${FOLDER}/tok_bpe.gguf`)));
  });
  testGoldens({ ...golden, chats: golden.fairseq2! }, () => tokenizer);

  test("tiktoken, with special tokens in the text and without", () => {
    for (const { s, ordinary, all_special } of golden.tiktoken!) {
      const text = strings[s]!;
      expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(ordinary);
      const options = { addSpecialTokens: false, parseSpecial: true };
      expect(tokenizer.encode(text, options)).toEqual(all_special);
    }
  });
});

// The vocabulary is that of the real model, which the repository does not hold.
const model = process.env.PRONK_TEST_MODEL;
describe.skipIf(!model)("SmolLM2 (needs PRONK_TEST_MODEL, the path of its GGUF file)", () => {
  const golden = read("smollm2.json") as Golden;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = loadTokenizer(compileTokenizer(await metadataOfFile(model!)));
  });
  testGoldens(golden, () => tokenizer);

  test("ids of the model's special tokens", () => {
    const { bosId, eosId, padId, unkId, vocabSize } = tokenizer;
    expect({ bosId, eosId, padId, unkId, vocabSize }).toEqual({
      bosId: 1,
      eosId: 2,
      padId: 2,
      unkId: 0,
      vocabSize: 49152,
    });
    expect(tokenizer.eogIds).toEqual([0, 2]);
  });

  test("prompts of the model's chats", () => {
    const { rendered } = golden as unknown as {
      rendered: { rendered: string; prompt_ids: number[] }[];
    };
    for (const chat of rendered) {
      expect(tokenizer.encode(chat.rendered, { parseSpecial: true })).toEqual(chat.prompt_ids);
    }
  });
});
