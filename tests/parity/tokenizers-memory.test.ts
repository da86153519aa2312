/** What a tokenizer costs in memory: it is planned with 6 MB in an isolate of 128 MB. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import type { MetadataValue } from "../../src/formats/model-file.ts";
import { compileTokenizer } from "../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizers/load-tokenizer.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { largeMetadata, metadataOfFile } from "../unit/tokenizers/vocabularies.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Heap and array buffers in use, in units of 10^6 bytes. */
function usedMegabytes(): number {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1e6;
}

/** Text of many scripts, so that every cache is in use. */
const TEXT = "The quick brown fox, 12345 привет 世界 😀\n<|im_start|> ".repeat(2000);

/** What a tokenizer that has been used keeps, its compiled bytes included. */
function measure(metadata: ReadonlyMap<string, MetadataValue>): [Tokenizer, number] {
  const before = usedMegabytes();
  const tokenizer = loadTokenizer(compileTokenizer(metadata));
  for (const parseSpecial of [false, true]) {
    const decoder = tokenizer.createDecoder();
    for (const id of tokenizer.encode(TEXT, { parseSpecial })) decoder.push(id);
  }
  return [tokenizer, usedMegabytes() - before];
}

const model = process.env.PRONK_TEST_MODEL;
test.skipIf(!model)("SmolLM2 takes at most 6 MB (needs PRONK_TEST_MODEL)", async () => {
  const metadata = await metadataOfFile(model!);
  const [tokenizer, megabytes] = measure(metadata);
  expect(tokenizer.vocabSize).toBe(49_152);
  expect(megabytes).toBeGreaterThan(1);
  expect(megabytes).toBeLessThan(6);
});

test("a vocabulary of Llama 3's size takes at most 20 MB", () => {
  const metadata = largeMetadata();
  const [tokenizer, megabytes] = measure(metadata);
  expect(tokenizer.vocabSize).toBe(128_256);
  expect(megabytes).toBeGreaterThan(4);
  expect(megabytes).toBeLessThan(20);
}, 60_000);
