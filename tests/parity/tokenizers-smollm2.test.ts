/** SmolLM2's tokens against @huggingface/tokenizers, over random mixtures of what texts are made of. */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { describe, expect, test } from "vitest";
import type { PackedStrings } from "../../src/formats/model-file.ts";
import { packedString } from "../../src/formats/packed-strings.ts";
import { compileTokenizer } from "../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizers/load-tokenizer.ts";
import { metadataOfFile, randomSource } from "../unit/tokenizers/vocabularies.ts";

const model = process.env.PRONK_TEST_MODEL;

const TEXTS = 4000;

const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const split = (pattern: string) => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});

/** Parts of random texts: words, code, numbers, spaces, scripts, marks, special tokens. */
const PARTS = [
  ..."The quick brown fox doesn't jump; we've they'll I'm CAN'T tokenization naïve Straße".split(
    " ",
  ),
  ..."def return x+=1 foo_bar() {\"key\": [1, null]} <div class='a'> https://example.com/?q=1&r=2".split(
    " ",
  ),
  ..."Привет мир こんにちは 世界 안녕하세요 שלום مرحبا नमस्ते ไทย 中文字符 ελληνικά".split(" "),
  ..."0 7 42 123 2024 3.14159 1,000,000 ½ ² Ⅻ ٣٤ 𝟘".split(" "),
  ..."😀 👍🏽 👨‍👩‍👧 🇫🇷 ❤️ 1️⃣ é e\u0301 \u0000 \u200b \ufeff \u00ad ﬁ 𝕏".split(" "),
  ..."<|im_start|> <|im_end|> <|endoftext|> <repo_name> <|im_ |> ' '' \" ... --- !? #".split(" "),
  ...[" ", "  ", "    ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u0085", "\u3000", "\u2028"],
];

describe.skipIf(!model)("SmolLM2 (needs PRONK_TEST_MODEL, the path of its GGUF file)", () => {
  test(`${TEXTS} random texts have the tokens that Hugging Face's tokenizer gives`, async () => {
    const metadata = await metadataOfFile(model!);
    const tokenizer = loadTokenizer(compileTokenizer(metadata));
    const stringsOf = (key: string): string[] => {
      const packed = metadata.get(`tokenizer.ggml.${key}`) as PackedStrings;
      return Array.from({ length: packed.length }, (_, i) => packedString(packed, i));
    };
    const tokens = stringsOf("tokens");
    const types = metadata.get("tokenizer.ggml.token_type") as Int32Array;
    const oracle = new HuggingFaceTokenizer(
      {
        version: "1.0",
        added_tokens: tokens.flatMap((content, id) =>
          types[id] === 1
            ? []
            : [
                {
                  id,
                  content,
                  special: true,
                  normalized: false,
                  lstrip: false,
                  rstrip: false,
                  single_word: false,
                },
              ],
        ),
        normalizer: null,
        pre_tokenizer: {
          type: "Sequence",
          pretokenizers: [
            // Digits and ByteLevel of the Rust library, spelled out: here Digits would only know 0
            // to 9, and the regular expression in ByteLevel would take JavaScript's white space.
            split("\\p{N}"),
            split(GPT2_PATTERN),
            { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
          ],
        },
        post_processor: null,
        decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
        model: {
          type: "BPE",
          vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
          merges: stringsOf("merges"),
        },
      },
      {},
    );

    const random = randomSource(1);
    let compared = 0;
    for (let n = 0; n < TEXTS; n++) {
      const text = Array.from({ length: 1 + random(16) }, () => {
        return PARTS[random(PARTS.length)]! + (random(2) === 0 ? " " : "");
      }).join("");
      const ids = tokenizer.encode(text, { parseSpecial: true });
      expect(ids, JSON.stringify(text)).toEqual(oracle.encode(text).ids);
      expect(tokenizer.decode(ids)).toBe(
        oracle.decode(ids, { clean_up_tokenization_spaces: false }),
      );
      compared += ids.length;
    }
    expect(compared).toBeGreaterThan(TEXTS * 10);
  }, 120_000);
});
