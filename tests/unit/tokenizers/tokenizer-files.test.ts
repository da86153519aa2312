/** tokenizer.json, tokenizer.model and tiktoken files: what they may hold, and what is refused. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LlamaTokenizerFast } from "../../../src/llama/tokenizer/llama-tokenizer-fast.ts";
import { spell } from "../../../src/tokenizers/byte-level.ts";
import { JsonScanner } from "../../../src/tokenizers/json-scanner.ts";
import { toPairs } from "../../../src/tokenizers/pipeline/encoding.ts";
import { pipelineFromJson } from "../../../src/tokenizers/pipeline/load-pipeline.ts";
import { readSentencePieceModel } from "../../../src/tokenizers/sentencepiece-model.ts";
import { splitPattern } from "../../../src/tokenizers/split-pattern.ts";
import { compileTiktoken } from "../../../src/tokenizers/tiktoken-ranks.ts";

const FOLDER = "tests/goldens/tokenizers";
const bytesOf = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

const BYTES = Object.fromEntries(
  Array.from({ length: 256 }, (_, byte) => [spell(Uint8Array.of(byte)), byte]),
);

/** A byte-level tokenizer of the bytes and "ab". */
const small = (more: Record<string, unknown> = {}, model: Record<string, unknown> = {}) => ({
  version: "1.0",
  added_tokens: [],
  pre_tokenizer: {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  },
  decoder: { type: "ByteLevel" },
  model: { type: "BPE", vocab: { ...BYTES, ab: 256 }, merges: [["a", "b"]], ...model },
  ...more,
});

const encode = (json: unknown, text: string): readonly number[] =>
  pipelineFromJson(bytesOf(json)).encode(text, 0).ids;

const token = (id: number, content: string, flags: Record<string, boolean> = {}) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: false,
  ...flags,
});

describe("a tokenizer.json", () => {
  test("is read however its JSON is spaced, escaped and ordered", () => {
    const escaped = JSON.stringify(small()).replace('"ab"', '"\\u0061b"');
    expect(encode(escaped, "ab")).toEqual([256]);
    expect(encode(JSON.stringify(small(), null, 2), "ab")).toEqual([256]);
    const { model, ...rest } = small();
    expect(encode({ model, ...rest, normalizer: null }, "xab")).toEqual([0x78, 256]);
  });

  test("may have merges in the older form", () => {
    expect(encode(small({}, { merges: ["a b"] }), "ab")).toEqual([256]);
  });

  test("has added tokens with flags", () => {
    const tokens = [
      token(257, "<l>", { lstrip: true }),
      token(258, "<r>", { rstrip: true }),
      token(259, "cat", { single_word: true }),
      token(300, "<n>", { normalized: true }),
    ];
    const json = small({ added_tokens: tokens });
    expect(encode(json, "x \n<l>")).toEqual([0x78, 257]);
    expect(encode(json, "<r>\t x")).toEqual([258, 0x78]);
    expect(encode(json, "cat cats")).toEqual([259, 0x20, 0x63, 0x61, 0x74, 0x73]);
    expect(encode(json, "a<n>b")).toEqual([0x61, 300, 0x62]);
  });

  test("normalizes, with the places of the text as it was", () => {
    const json = small({
      normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "Lowercase" }] },
    });
    const { ids, places } = pipelineFromJson(bytesOf(json)).encode("xAB", 0);
    expect(ids).toEqual([0x78, 256]);
    expect(toPairs(places, 2)).toEqual([
      [0, 1],
      [1, 3],
    ]);
    const composed = pipelineFromJson(bytesOf(json)).encode("e\u0301!", 0);
    expect(composed.ids).toEqual([0xc3, 0xa9, 0x21]);
    expect(toPairs(composed.places, 3)).toEqual([
      [0, 2],
      [0, 2],
      [2, 3],
    ]);
  });

  test("splits by its own patterns, one after the other", () => {
    const split = (Regex: string) => ({
      type: "Split",
      pattern: { Regex },
      behavior: "Isolated",
      invert: false,
    });
    const plain = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
    const json = (...regexes: string[]) =>
      small({ pre_tokenizer: { type: "Sequence", pretokenizers: [...regexes.map(split), plain] } });
    expect(encode(json("a"), "ab")).toEqual([0x61, 0x62]);
    expect(encode(json("x", "[a-c]+"), "abxab")).toEqual([256, 0x78, 256]);
    expect(encode(json("\\p{L}+", "b"), "ab ab")).toEqual([0x61, 0x62, 0x20, 0x61, 0x62]);
  });

  test("with a space in front gives no place to it", () => {
    const json = small({
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: true, use_regex: true },
    });
    const { ids, places } = pipelineFromJson(bytesOf(json)).encode("ab", 0);
    expect(ids).toEqual([0x20, 256]);
    expect(toPairs(places, 2)).toEqual([
      [0, 1],
      [0, 2],
    ]);
  });
});

describe("refuses a tokenizer.json", () => {
  test.each<[string, unknown, string]>([
    ["that is cut off", JSON.stringify(small()).slice(0, -2), "bad_format"],
    ["that is no object", "[]", "bad_format"],
    ["with something behind it", `${JSON.stringify(small())}x`, "bad_format"],
    ["without a model", { version: "1.0" }, "bad_format"],
    ["of Unigram", small({}, { type: "Unigram", vocab: [["a", 0]] }), "unsupported"],
    ["with dropout", small({}, { dropout: 0.1 }), "unsupported"],
    ["with another normalizer", small({ normalizer: { type: "BertNormalizer" } }), "unsupported"],
    ["with another pre-tokenizer", small({ pre_tokenizer: { type: "Whitespace" } }), "unsupported"],
    ["with another decoder", small({ decoder: { type: "WordPiece" } }), "unsupported"],
    ["with another post-processor", small({ post_processor: { type: "Bert" } }), "unsupported"],
    ["whose ids are twice", small({}, { vocab: { ...BYTES, ab: 1 } }), "bad_format"],
    ["whose ids are huge", small({}, { vocab: { ...BYTES, ab: 4e9 } }), "bad_format"],
    [
      "whose ids are negative",
      JSON.stringify(small()).replace('"ab":256', '"ab":-1'),
      "bad_format",
    ],
    ["whose merge is no token", small({}, { merges: [["b", "a"]] }), "bad_format"],
    ["whose merge has three parts", small({}, { merges: [["a", "b", "c"]] }), "bad_format"],
    [
      "whose added token takes another's id",
      small({ added_tokens: [token(1, "x")] }),
      "bad_format",
    ],
    ["whose parts nest without end", small({ normalizer: nested(20) }), "bad_format"],
    ["with a part of many megabytes", small({ normalizer: "x".repeat(5 << 20) }), "bad_format"],
    [
      "whose template names an unknown token",
      small({
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "<s>", type_id: 0 } }],
          pair: [],
          special_tokens: {},
        },
      }),
      "bad_format",
    ],
  ])("%s", (_, json, code) => {
    expect(() => pipelineFromJson(bytesOf(json))).toThrow(expect.objectContaining({ code }));
  });
});

function nested(depth: number): unknown {
  return depth === 0 ? { type: "NFC" } : { type: "Sequence", normalizers: [nested(depth - 1)] };
}

test("a hundred thousand open brackets are refused without a stack for each", () => {
  const scanner = new JsonScanner(bytesOf("[".repeat(100_000)), "x.json");
  expect(() => scanner.skip()).toThrow(expect.objectContaining({ code: "bad_format" }));
});

describe("a damaged tokenizer.model", () => {
  const model = new Uint8Array(readFileSync(`${FOLDER}/llama2_sp/tokenizer.model`));

  test("is refused, or still encodes to ids that it has", () => {
    let state = 7;
    for (let n = 0; n < 300; n++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      const damaged = model.slice(0, n % 3 === 0 ? state % model.length : model.length);
      if (damaged.length > 0) damaged[(state >>> 3) % damaged.length]! ^= 1 << (n % 8);
      try {
        const tokenizer = new LlamaTokenizerFast({ vocab_file: damaged, bos_token: "<s>" });
        for (const id of tokenizer.encode("Hello this is a test")) {
          expect(tokenizer.idToToken(id)).toBeTypeOf("string");
        }
      } catch (error) {
        expect(error).toMatchObject({ name: "PronkError" });
      }
    }
  });

  test.each<[string, number[], string]>([
    ["of a length beyond its end", [0x0a, 0xff, 0xff, 0xff, 0x7f], "bad_format"],
    ["of a number without an end", Array(20).fill(0xff), "bad_format"],
    ["without pieces", [], "bad_format"],
    ["of a Unigram model", [0x0a, 3, 0x0a, 1, 0x61, 0x12, 2, 0x18, 1], "unsupported"],
  ])("%s is refused", (_, bytes, code) => {
    expect(() => readSentencePieceModel(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe("a tiktoken file", () => {
  test.each([
    ["without a rank", "YQ==\n"],
    ["with a rank that is twice", "YQ== 0\nYg== 0\n"],
    ["with a token that is twice", "YQ== 0\nYQ== 1\n"],
    ["with a gap between ranks", "YQ== 0\nYg== 2\n"],
    ["that is empty", ""],
    ["of other bytes", "\u0000\u0001"],
  ])("%s is refused", (_, text) => {
    expect(() => compileTiktoken(bytesOf(text), [])).toThrow(
      expect.objectContaining({ code: "bad_format" }),
    );
  });

  test("may have its lines in any order", () => {
    const parts = compileTiktoken(bytesOf("YWI= 2\r\nYg== 1\nYQ== 0"), ["<x>"]);
    expect(new TextDecoder().decode(parts.bytes)).toBe("abab<x>");
  });
});

describe("a split pattern", () => {
  const words = (pattern: string, text: string): string[] => {
    const scan = splitPattern(pattern);
    const found: string[] = [];
    for (let at = 0; at < text.length; ) {
      const stop = scan(text, at, text.length);
      found.push(text.slice(at, stop));
      at = stop;
    }
    return found;
  };

  test.each<[string, string, string[]]>([
    ["\\s+|\\S+", "a  bc", ["a", "  ", "bc"]],
    ["\\d{1,3}", "12345x", ["123", "45", "x"]],
    ["(?i:ab|c)+", "aBCx", ["aBC", "x"]],
    ["[^\\p{L}]?+\\p{L}+", "-ab -", ["-ab", " -"]],
    ["a++b|a", "aab", ["aab"]],
    ["a*?b", "aab", ["aab"]],
    ["x(?=y)", "xyx", ["x", "yx"]],
    ["😀", "a😀b", ["a", "😀", "b"]],
  ])("%s on %s", (pattern, text, expected) => {
    expect(words(pattern, text)).toEqual(expected);
  });

  test.each(["(?<=a)b", "(a", "[a", "a)", "*a", "\\b", "\\p{Nonsense}", "[a&&b]"])(
    "%s is refused by name",
    (pattern) => {
      expect(() => splitPattern(pattern)).toThrow(expect.objectContaining({ code: "unsupported" }));
    },
  );

  test("that backtracks without end is stopped", () => {
    const scan = splitPattern("(?:a|aa)+$");
    const text = `${"a".repeat(60)}b`;
    expect(() => scan(text, 0, text.length)).toThrow(
      expect.objectContaining({ code: "bad_request" }),
    );
  });
});

test("decoding over bytes gives the text that the decoder's steps give", () => {
  const file = new URL("../../goldens/tokenizers/llama2_sp/fast/tokenizer.json", import.meta.url);
  const json = JSON.parse(readFileSync(file, "utf8"));
  const fast = pipelineFromJson(bytesOf(json));
  // The same steps in another order of words, which only the slower way knows.
  const { decoders } = json.decoder;
  const nothing = { type: "Replace", pattern: { String: "\u0000\u0000" }, content: "" };
  const slow = pipelineFromJson(
    bytesOf({ ...json, decoder: { type: "Sequence", decoders: [nothing, ...decoders] } }),
  );
  for (const pipeline of [fast, slow]) {
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    pipeline.addToken({ content: "\u2581a\u2581", special: false, ...flags });
    pipeline.addToken({ content: "<0x41>", special: true, ...flags });
  }
  let state = 7;
  for (let round = 0; round < 3000; round++) {
    const ids = Array.from({ length: 12 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      // Mostly bytes (3 to 258), so that runs are characters, or none.
      return state % 3 === 0 ? (state >>> 8) % 1001 : 3 + ((state >>> 8) % 256);
    });
    for (const skip of [false, true]) expect(fast.decode(ids, skip)).toBe(slow.decode(ids, skip));
  }
});
