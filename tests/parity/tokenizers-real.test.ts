/**
 * Real vocabularies against the libraries that they are of; `node scripts/real-tokenizers.mjs` makes
 * the data.
 */
import { existsSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { tokenizerMetadata } from "../../src/checkpoints/tokenizer-metadata.ts";
import type { MetadataValue } from "../../src/formats/model-file.ts";
import { toCodePointOffsets } from "../../src/llama/tokenizer/batch-encoding.ts";
import type { Fairseq2Tokenizer } from "../../src/llama/tokenizer/fairseq2-tokenizer.ts";
import { LlamaTokenizerFast } from "../../src/llama/tokenizer/llama-tokenizer-fast.ts";
import {
  LLaMATokenizerConfig,
  loadFairseq2Tokenizer,
} from "../../src/llama/tokenizer/load-fairseq2-tokenizer.ts";
import { compileTokenizer } from "../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizers/load-tokenizer.ts";

const FOLDER = ".cache/real-tokenizers";
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(`${FOLDER}/${name}`));

interface Oracle {
  llama3: number[][];
  llama2: number[][];
  llama2_offsets: [number, number][][];
  llama2_decoded: string[];
}

const here = existsSync(`${FOLDER}/ids.json`);
describe.skipIf(!here)("10,000 mixed texts (needs scripts/real-tokenizers.mjs)", () => {
  let texts: string[];
  let oracle: Oracle;
  beforeAll(() => {
    texts = JSON.parse(readFileSync(`${FOLDER}/texts.json`, "utf8"));
    oracle = JSON.parse(readFileSync(`${FOLDER}/ids.json`, "utf8"));
    expect(texts).toHaveLength(10_000);
  });

  describe("Llama 3", () => {
    let tokenizer: Fairseq2Tokenizer;
    beforeAll(async () => {
      const config = new LLaMATokenizerConfig({ impl: "tiktoken" });
      tokenizer = await loadFairseq2Tokenizer(read("llama3.model"), config);
    });

    test("has tiktoken's ids, which decode to the text", () => {
      expect(tokenizer.vocabInfo.size).toBe(128_256);
      const encode = tokenizer.createEncoder({ mode: "as_is" });
      const decode = tokenizer.createDecoder();
      texts.forEach((text, i) => {
        const ids = encode(text);
        expect(ids, JSON.stringify(text)).toEqual(oracle.llama3[i]);
        expect(decode(ids)).toBe(text);
      });
    });
  });

  test("Llama 3's tiktoken file beside a checkpoint: its pack has tiktoken's ids, too", async () => {
    const file = read("llama3.model");
    const files = new Map([["tokenizer.model", { size: file.length, read: async () => file }]]);
    const checkpoint = { name: "llama3", config: {}, tensors: new Map(), files };
    const metadata = await tokenizerMetadata(checkpoint, 128_256);
    const values = [...metadata].map(([key, { value }]) => [key, value] as const);
    const tokenizer = loadTokenizer(compileTokenizer(new Map(values as [string, MetadataValue][])));
    expect(tokenizer.bosId).toBe(128_000);
    texts.forEach((text, i) => {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      expect(ids, JSON.stringify(text)).toEqual(oracle.llama3[i]);
    });
  });

  describe("Llama 2", () => {
    let tokenizer: LlamaTokenizerFast;
    beforeAll(() => {
      tokenizer = new LlamaTokenizerFast({ tokenizer_file: read("llama2/tokenizer.json") });
    });

    test("has the ids and offsets of `tokenizers`, which decode to the text", () => {
      expect(tokenizer.vocab_size).toBe(32_000);
      texts.forEach((text, i) => {
        const row = tokenizer.call(text, { return_offsets_mapping: true });
        expect(row.input_ids, JSON.stringify(text)).toEqual(oracle.llama2[i]);
        const offsets = toCodePointOffsets(text, row.offset_mapping!);
        expect(offsets, JSON.stringify(text)).toEqual(oracle.llama2_offsets[i]);
        const decoded = tokenizer.decode(row.input_ids, { skip_special_tokens: true });
        expect(decoded).toBe(oracle.llama2_decoded[i]);
        // U+2581 is SentencePiece's spelling of a space: it cannot come back.
        expect(decoded).toBe(text.replaceAll("\u2581", " "));
      });
    });

    test("encodes the example of the LLaMA page", () => {
      expect(tokenizer.encode("Hello this is a test")).toEqual([1, 15043, 445, 338, 263, 1243]);
    });

    test("puts no space in front of what begins with a word", () => {
      expect(tokenizer.decode(tokenizer.encode("Banana"), { skip_special_tokens: true })).toBe(
        "Banana",
      );
    });
  });
});
