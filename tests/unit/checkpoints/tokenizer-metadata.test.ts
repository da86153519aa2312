import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { tokenizerMetadata } from "../../../src/checkpoints/tokenizer-metadata.ts";
import { openCheckpoint } from "../../../src/engine/open-checkpoint.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { memorySource } from "../../../src/sources/memory.ts";
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

test("tiktoken ranks are refused by name", async () => {
  const bytes = new TextEncoder().encode("IQ== 0\n");
  const files = new Map([["tokenizer.model", { read: async () => bytes }]]);
  const checkpoint = { ...randomCheckpoint({ ...TINY, vocab_size: 40 }, 1), files };
  await expect(tokenizerMetadata(checkpoint, 40)).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining("tiktoken"),
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
