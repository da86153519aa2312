/** What `word_ids()` and `sequence_ids()` of transformers 4.57 give for these texts. */
import { describe, expect, test } from "vitest";
import { autoTokenizer } from "../../../../src/llama/tokenizer/load-tokenizer.ts";
import type { PreTrainedTokenizerBase } from "../../../../src/llama/tokenizer/pretrained-tokenizer-base.ts";
import { directoryFolder } from "../../../../src/platform/host/directory.ts";
import { nodeHost } from "../../../../src/platform/node/host.ts";

const open = (name: string, use_fast = true): Promise<PreTrainedTokenizerBase> =>
  autoTokenizer(directoryFolder(nodeHost, `tests/goldens/tokenizers/${name}`), { use_fast });

const PAIR = {
  text_pair: "My name is Wolfgang and I live in Berlin",
  return_word_ids: true,
  return_sequence_ids: true,
} as const;

describe("words of tokens", () => {
  test("of a byte-level tokenizer are those of its pattern", async () => {
    const tokenizer = await open("llama3_tiktoken/hf");
    const { word_ids, sequence_ids } = tokenizer.call("Who am I?", PAIR);
    expect(word_ids).toEqual([
      ...[null, 0, 0, 0, 1, 1, 2, 3, null],
      ...[0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 6, 6, 6, 7, 8, 8, 8, 8],
    ]);
    expect(sequence_ids).toEqual([
      ...[null, 0, 0, 0, 0, 0, 0, 0, null],
      ...new Array<number>(20).fill(1),
    ]);
  });

  test("of a SentencePiece tokenizer are one a text", async () => {
    const tokenizer = await open("llama2_sp/fast");
    const { word_ids } = tokenizer.call("Who am I?", PAIR);
    expect(word_ids?.slice(0, 11)).toEqual([null, 0, 0, 0, 0, 0, 0, 0, 0, null, 0]);
    expect(new Set(word_ids)).toEqual(new Set([null, 0]));
  });

  test("of special tokens in a text are words of their own", async () => {
    const tokenizer = await open("llama3_tiktoken/hf");
    const text = "I<|eot_id|>I am";
    const { input_ids, word_ids } = tokenizer.call(text, {
      return_word_ids: true,
      add_special_tokens: false,
    });
    const words = tokenizer.call("I am", { return_word_ids: true, add_special_tokens: false });
    expect(word_ids).toEqual([0, 1, ...(words.word_ids ?? []).map((word) => (word ?? 0) + 2)]);
    expect(input_ids.length).toBe(word_ids?.length);
  });

  test("of split words are their numbers, and padding has none", async () => {
    const tokenizer = await open("llama3_tiktoken/hf");
    const { word_ids } = tokenizer.call([["Anna", "lives"], ["here"]], {
      is_split_into_words: true,
      return_word_ids: true,
      add_special_tokens: false,
      padding: true,
    });
    expect(new Set(word_ids?.[0])).toEqual(new Set([0, 1]));
    expect(new Set(word_ids?.[1])).toEqual(new Set([0, null]));
  });

  test("need a fast tokenizer, and are left out unless they are asked for", async () => {
    const slow = await open("llama2_sp", false);
    expect(() => slow.call("I", { return_word_ids: true })).toThrow(
      "LlamaTokenizer: words need LlamaTokenizerFast",
    );
    expect(slow.call("I")).not.toHaveProperty("word_ids");
  });
});

test.each(["llama2_sp/fast", "llama3_tiktoken/hf", "llama2_sp"])(
  "convertTokensToString gives the text of %s's spellings",
  async (name) => {
    const tokenizer = await open(name, name !== "llama2_sp");
    const text = "Anna Müller lives";
    expect(tokenizer.convertTokensToString(tokenizer.tokenize(text)).trim()).toBe(text);
    expect(tokenizer.convertTokensToString([])).toBe("");
  },
);
