import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { tokenizerMetadata } from "../../../src/checkpoints/tokenizer-metadata.ts";
import { openCheckpoint } from "../../../src/engine/open-checkpoint.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import type { PackedStrings } from "../../../src/formats/model-file.ts";
import { packedString } from "../../../src/formats/packed-strings.ts";
import { loadFairseq2Tokenizer } from "../../../src/llama/tokenizer/load-fairseq2-tokenizer.ts";
import { autoTokenizer } from "../../../src/llama/tokenizer/load-tokenizer.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { detectTemplate } from "../../../src/templates/choose-template.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { randomCheckpoint } from "../../support/random-checkpoint.ts";

const goldens = new URL("../../goldens/tokenizers/", import.meta.url);

const TINY = {
  hidden_size: 32,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 64,
};

async function metadataOf(file: string) {
  const bytes = new Uint8Array(readFileSync(new URL(file, goldens)));
  return (await readGguf(memorySource(bytes, file))).metadata;
}

const { strings }: { strings: string[] } = JSON.parse(
  readFileSync(new URL("strings.json", goldens), "utf8"),
);

describe.each([
  ["llama2_sp/fast_legacy", "tok_sp.gguf", 1000],
  ["llama3_tiktoken/hf", "tok_bpe.gguf", 1256],
])("%s", (folder, gguf, vocab_size) => {
  const checkpoint = randomCheckpoint({ ...TINY, vocab_size }, 1, folder);

  test(`has the tokens, types and merges of ${gguf}`, async () => {
    const expected = await metadataOf(gguf);
    const found = await tokenizerMetadata(checkpoint, vocab_size);
    for (const name of ["model", "pre", "tokens", "merges", "add_bos_token", "bos_token_id"]) {
      const key = `tokenizer.ggml.${name}`;
      expect(found.get(key)?.value, name).toEqual(expected.get(key));
    }
    const types = expected.get("tokenizer.ggml.token_type") as Int32Array;
    expect([...(found.get("tokenizer.ggml.token_type")!.value as Int32Array)]).toEqual([...types]);
  });

  test("a model opened from the directory encodes every golden string as the GGUF's tokenizer", async () => {
    const opened = await openCheckpoint(checkpoint, { quantization: "none", profile: "default" });
    const found = (await opened.loadTokenizer())!;
    const expected = loadTokenizer(compileTokenizer(await metadataOf(gguf)));
    expect(strings.length).toBeGreaterThan(150);
    for (const text of strings) expect(found.encode(text)).toEqual(expected.encode(text));
    expect(found.bosId).toBe(expected.bosId);
  });
});

test("a SentencePiece tokenizer.model gives the pieces and scores of the GGUF, spare tokens behind them", async () => {
  const bytes = new Uint8Array(readFileSync(new URL("llama2_sp/tokenizer.model", goldens)));
  const files = new Map([["tokenizer.model", { read: async () => bytes }]]);
  const checkpoint = { ...randomCheckpoint({ ...TINY, vocab_size: 1002 }, 1), files };
  const expected = await metadataOf("tok_sp.gguf");
  const exact = await tokenizerMetadata(checkpoint, 1000);
  for (const [key, { value }] of exact) {
    const golden = expected.get(key);
    if (typeof golden === "object" && golden instanceof Int32Array) {
      expect([...(value as Int32Array)], key).toEqual([...golden]);
    } else if (golden !== undefined) expect(value, key).toEqual(golden);
  }
  const spare = await tokenizerMetadata(checkpoint, 1002);
  expect([...(spare.get("tokenizer.ggml.token_type")!.value as Int32Array)].slice(999)).toEqual([
    1, 5, 5,
  ]);
  const opened = await openCheckpoint(checkpoint, { quantization: "none", profile: "default" });
  const found = (await opened.loadTokenizer())!;
  const golden = loadTokenizer(compileTokenizer(expected));
  for (const text of strings) expect(found.encode(text)).toEqual(golden.encode(text));
});

test("without tokenizer.json there is no vocabulary", async () => {
  const checkpoint = randomCheckpoint({ ...TINY, vocab_size: 40 }, 1);
  const metadata = await tokenizerMetadata(checkpoint, 40);
  expect([...metadata].map(([key, { value }]) => [key, value])).toEqual([
    ["tokenizer.ggml.model", "no_vocab"],
  ]);
});

test.each(["llama2_sp/fast", "llama2_sp/fast_legacy", "llama3_tiktoken/hf"])(
  "a model opened from %s puts spaces around special tokens as its tokenizer does",
  async (folder) => {
    const vocab_size = folder.startsWith("llama2") ? 1000 : 1256;
    const checkpoint = randomCheckpoint({ ...TINY, vocab_size }, 1, folder);
    const opened = await openCheckpoint(checkpoint, { quantization: "none", profile: "default" });
    const found = (await opened.loadTokenizer())!;
    const files = await Promise.all(
      [...checkpoint.files!].map(async ([name, file]) => [name, await file.read()] as const),
    );
    const own = await autoTokenizer(Object.fromEntries(files));
    const { bos_token: bos, eos_token: eos } = own;
    const chats = [
      `${bos}[INST] Hi [/INST] Yes ${eos}${bos}[INST]a`,
      `${eos}`,
      ` ${eos} b`,
      `a${eos}b`,
    ];
    for (const text of [...strings, ...chats]) {
      const ids = own.encode(text, { add_special_tokens: false });
      const options = { addSpecialTokens: false, parseSpecial: true };
      expect(found.encode(text, options), JSON.stringify(text)).toEqual(ids);
    }
  },
);

describe("Llama 3's tiktoken file", () => {
  const file = new Uint8Array(readFileSync(new URL("llama3_tiktoken/tokenizer.model", goldens)));
  const beside = (bytes: Uint8Array, vocab_size: number, more: Record<string, string> = {}) => ({
    ...randomCheckpoint({ ...TINY, vocab_size }, 1),
    files: new Map([
      ["tokenizer.model", { read: async () => bytes }],
      ...Object.entries(more).map(
        ([name, text]) => [name, { read: async () => new TextEncoder().encode(text) }] as const,
      ),
    ]),
  });

  test("has the tokens, types and merges of the GGUF that Hugging Face's conversion gives", async () => {
    const expected = await metadataOf("tok_bpe.gguf");
    const found = await tokenizerMetadata(beside(file, 1256), 1256);
    for (const name of ["model", "pre", "merges", "bos_token_id", "add_bos_token"]) {
      const key = `tokenizer.ggml.${name}`;
      expect(found.get(key)?.value, name).toEqual(expected.get(key));
    }
    const tokens = (value: unknown): string[] => {
      const packed = value as PackedStrings;
      return Array.from({ length: packed.length }, (_, i) => packedString(packed, i));
    };
    const key = "tokenizer.ggml.tokens";
    expect(tokens(found.get(key)!.value)).toEqual(tokens(expected.get(key)));
  });

  test("opened, encodes every golden string as tiktoken does, and ends turns with <|eot_id|>", async () => {
    const golden = JSON.parse(
      readFileSync(new URL("llama3_tiktoken/golden.json", goldens), "utf8"),
    );
    const opened = await openCheckpoint(beside(file, 1260), {
      quantization: "none",
      profile: "default",
    });
    const found = (await opened.loadTokenizer())!;
    const reference = loadFairseq2Tokenizer(file, {
      impl: "tiktoken",
      use_eot: true,
      split_regex: null,
    });
    const encode = (await reference).createEncoder({ mode: "as_is" });
    for (const text of strings) {
      expect(found.encode(text, { addSpecialTokens: false, parseSpecial: true })).toEqual(
        encode(text),
      );
    }
    expect(golden).toBeDefined();
    expect(found.bosId).toBe(1000);
    expect(found.eogIds).toEqual(expect.arrayContaining([1001, 1008, 1009]));
    expect(detectTemplate(found)).toBe("llama3");
  });

  test("takes the chat template from a file beside it", async () => {
    const found = await tokenizerMetadata(
      beside(file, 1256, { "chat_template.jinja": "hi" }),
      1256,
    );
    expect(found.get("tokenizer.chat_template")?.value).toBe("hi");
  });

  test("with more tokens than the model is refused with both numbers", async () => {
    await expect(tokenizerMetadata(beside(file, 1255), 1255)).rejects.toMatchObject({
      code: "bad_format",
      message: expect.stringContaining("1256 tokens of 1255"),
    });
  });
});

describe("refuses", () => {
  const given = (json: unknown) => {
    const bytes = new TextEncoder().encode(JSON.stringify(json));
    const files = new Map([["tokenizer.json", { read: async () => bytes }]]);
    return { ...randomCheckpoint({ ...TINY, vocab_size: 40 }, 1), files };
  };
  test.each([
    ["another model", { model: { type: "Unigram", vocab: {} } }, "unsupported", "Unigram"],
    ["no vocabulary", { model: { type: "BPE" } }, "bad_format", "model.vocab"],
    ["an id outside", { model: { vocab: { a: 40 } } }, "bad_format", "id 40 of 40"],
    ["a negative id", { model: { vocab: { a: -1 } } }, "bad_format", "id -1"],
    ["a merge of three", { model: { vocab: {}, merges: ["a b c"] } }, "bad_format", "merge"],
    [
      "words that GGUF has no name for",
      { model: { vocab: {} }, pre_tokenizer: { type: "Whitespace" } },
      "unsupported",
      "Whitespace",
    ],
  ])("%s", async (_, json, code, message) => {
    await expect(tokenizerMetadata(given(json), 40)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });
});
