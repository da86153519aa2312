/** Files that are written to take memory or time: refused with the reason, or harmless. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { tokenizerMetadata } from "../../../src/checkpoints/tokenizer-metadata.ts";
import { autoTokenizer } from "../../../src/llama/tokenizer/load-tokenizer.ts";
import { pipelineFromJson } from "../../../src/tokenizers/pipeline/load-pipeline.ts";
import { readSentencePieceModel } from "../../../src/tokenizers/sentencepiece-model.ts";
import { splitPattern } from "../../../src/tokenizers/split-pattern.ts";
import { compileTiktoken } from "../../../src/tokenizers/tiktoken-ranks.ts";

const goldens = new URL("../../goldens/tokenizers/", import.meta.url);
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(new URL(path, goldens)));
const bytesOf = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

/** Of the process's own time: others may have the machine. */
const MAX_MS = 3000 * (process.env.PRONK_TEST_COUNTED ? 4 : 1);
const MAX_BYTES = 400e6;

/** Runs it within bounded time and memory. */
async function bounded<T>(run: () => T | Promise<T>): Promise<T | unknown> {
  const before = process.memoryUsage().rss;
  const start = process.cpuUsage();
  let outcome: unknown;
  try {
    outcome = await run();
  } catch (error) {
    outcome = error;
  }
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(MAX_MS);
  expect(process.memoryUsage().rss - before).toBeLessThan(MAX_BYTES);
  return outcome;
}

const json = (part: Record<string, unknown> = {}, model: Record<string, unknown> = {}) => ({
  version: "1.0",
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
  post_processor: null,
  decoder: { type: "ByteLevel" },
  model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: [["a", "b"]], ...model },
  ...part,
});

const replace = (content: string) => ({ type: "Replace", pattern: { String: "a" }, content });
const many = <T>(count: number, item: T): T[] => Array<T>(count).fill(item);

describe("a tokenizer.json is refused", () => {
  test.each<[string, unknown, string]>([
    ["with an id of a billion", json({}, { vocab: { a: 1e9 } }), "token id 1000000000"],
    [
      "with an added id of a billion",
      json({ added_tokens: [{ id: 1e9, content: "x" }] }),
      "has the id",
    ],
    ["with one id twice", json({}, { vocab: { a: 0, b: 0 } }), "two tokens have the id 0"],
    [
      "with a normalizer of many steps",
      json({ normalizer: { type: "Sequence", normalizers: many(1000, { type: "NFC" }) } }),
      "normalizer: 1000 steps",
    ],
    [
      "with a decoder of many steps",
      json({ decoder: { type: "Sequence", decoders: many(1000, { type: "Fuse" }) } }),
      "decoder: 1000 steps",
    ],
    [
      "that puts a book in place of a letter",
      json({ normalizer: replace("a".repeat(1e5)) }),
      "Replace",
    ],
    ["that decodes a letter to a book", json({ decoder: replace("a".repeat(1e5)) }), "Replace"],
    [
      "with an added token of a megabyte",
      json({ added_tokens: [{ id: 3, content: "x".repeat(1e6) }] }),
      "is not a token",
    ],
    [
      "with a hundred thousand added tokens",
      json({
        added_tokens: Array.from({ length: 1e5 }, (_, i) => ({ id: i, content: `${i}` })),
      }),
      "added_tokens",
    ],
    ["with a merge of its own outcome", json({}, { merges: [["ab", "ab"]] }), "no tokens"],
    ["with a merge of nothing", json({}, { merges: [["", "ab"]] }), "merge 0"],
    ["nested a million deep", `{"model": ${"[".repeat(1e6)}`, "tokenizer.json"],
    [
      "with parts nested a hundred thousand deep",
      `{"normalizer": ${"[".repeat(1e5)}${"]".repeat(1e5)}, "model": ${JSON.stringify(json().model)}}`,
      "tokenizer.json",
    ],
  ])("%s", async (_, file, why) => {
    const error = await bounded(() => pipelineFromJson(bytesOf(file)));
    expect(error).toMatchObject({ name: "PronkError", message: expect.stringContaining(why) });
  });

  test("while it is read, not when texts come: merges that go round are no loop", async () => {
    // Each merge is made of what another makes: the lengths of pieces have no cycle.
    const vocab = { a: 0, aa: 1, aaa: 2, aaaa: 3 };
    const merges = [
      ["a", "aaa"],
      ["aa", "aa"],
      ["aaa", "a"],
      ["a", "aa"],
      ["aa", "a"],
      ["a", "a"],
    ];
    const pipeline = pipelineFromJson(bytesOf(json({}, { vocab, merges })));
    const outcome = await bounded(() => pipeline.encodeIds("a".repeat(200_000), true, {}));
    expect(outcome).toHaveLength(50_000);
  });
});

describe("texts do not grow without end", () => {
  const doubling = { type: "Sequence", normalizers: many(32, replace("aa")) };

  test("by a normalizer", async () => {
    const pipeline = pipelineFromJson(bytesOf(json({ normalizer: doubling })));
    const error = await bounded(() => pipeline.encodeIds("a".repeat(1000), true, {}));
    expect(error).toMatchObject({
      code: "bad_request",
      message: expect.stringContaining("normalizer"),
    });
  });

  test("by a decoder", async () => {
    const decoders = many(32, replace("aa"));
    const pipeline = pipelineFromJson(bytesOf(json({ decoder: { type: "Sequence", decoders } })));
    const error = await bounded(() => pipeline.decode(many(1000, 0), false));
    expect(error).toMatchObject({
      code: "bad_request",
      message: expect.stringContaining("decoder"),
    });
  });

  test("where Unicode's forms make the most of a character, they are as long as they are", () => {
    const pipeline = pipelineFromJson(bytesOf(json({ normalizer: { type: "NFKD" } })));
    expect(pipeline.encodeIds("\ufdfa".repeat(1000), true, {})).toEqual([]);
  });
});

test("an added token of thousands of letters does not make a text of them take their product", async () => {
  const content = `${"a".repeat(4000)}!`;
  const file = json({ added_tokens: [{ id: 3, content, special: true, normalized: false }] });
  const pipeline = pipelineFromJson(bytesOf(file));
  expect(pipeline.encodeIds(`ab${content}ab`, true, {})).toEqual([2, 3, 2]);
  const error = await bounded(() => pipeline.encodeIds("a".repeat(1_000_000), true, {}));
  expect(error).toMatchObject({
    code: "bad_request",
    message: expect.stringContaining("added tokens"),
  });
  expect(pipeline.encodeIds("ab", true, {})).toEqual([2]);
});

describe("files beside it", () => {
  const tokenizer = bytesOf(json());
  const tokens = Array.from({ length: 60_000 }, (_, i) => `<${i}>`);

  test("with tens of thousands of tokens are read in no more than their time", async () => {
    const added_tokens_decoder = Object.fromEntries(
      tokens.map((content, i) => [i + 3, { content, special: true }]),
    );
    const config = bytesOf({ added_tokens_decoder, additional_special_tokens: tokens });
    const found = await bounded(() =>
      autoTokenizer({ "tokenizer.json": tokenizer, "tokenizer_config.json": config }),
    );
    expect(found).toMatchObject({ length: 60_003 });
    const model = read("llama2_sp/tokenizer.model");
    const slow = await bounded(() =>
      autoTokenizer(
        {
          "tokenizer.model": model,
          "tokenizer_config.json": bytesOf({ additional_special_tokens: tokens }),
        },
        { use_fast: false },
      ),
    );
    expect(slow).toMatchObject({ length: 61_000 });
  });

  test.each<[string, Record<string, unknown>, string]>([
    [
      "more",
      { "tokenizer_config.json": { additional_special_tokens: many(1e5, "a") } },
      "additional_special_tokens",
    ],
    [
      "more, by id",
      {
        "added_tokens.json": Object.fromEntries(
          Array.from({ length: 1e5 }, (_, i) => [`x${i}`, i]),
        ),
      },
      "added_tokens.json: 100000 tokens",
    ],
    ["an id that is a word", { "added_tokens.json": { x: "y" } }, "added_tokens.json"],
    ["a negative limit", { "tokenizer_config.json": { model_max_length: -1 } }, "model_max_length"],
  ])("with %s are refused", async (_, files, why) => {
    const given = Object.entries(files).map(([name, value]) => [name, bytesOf(value)]);
    const error = await bounded(() =>
      autoTokenizer({ "tokenizer.json": tokenizer, ...Object.fromEntries(given) }),
    );
    expect(error).toMatchObject({ code: "bad_format", message: expect.stringContaining(why) });
  });
});

describe("a pattern of words", () => {
  const text = `${"a".repeat(5000)}!`;
  test.each([
    "(a+)+$",
    "(a|a)*$",
    "(a*)*$",
    "(?:a?){40}a{40}$",
    "((a{1000}){1000}){1000}",
    "a{1,1000000000}$",
    "(?=(a+)+$)a",
    `${"(".repeat(500)}a${")".repeat(500)}`,
    `${"(".repeat(100_000)}a${")".repeat(100_000)}`,
    `[${"\\p{L}".repeat(10_000)}]+`,
    "a".repeat(100_000),
    // Calls within calls: of long rounds, and of loops in loops.
    `(?:${"a".repeat(40)})+`,
    "(?:(?:a{1,2})+a?)+",
    "(?i)\\x{110000}",
  ])("%# ends, matched or refused", async (pattern) => {
    const outcome = await bounded(() => {
      const scan = splitPattern(pattern);
      let words = 0;
      for (let at = 0; at < text.length; at = scan(text, at, text.length)) words++;
      return words;
    });
    if (outcome instanceof Error) {
      expect(outcome).toMatchObject({ name: "PronkError" });
    } else {
      expect(outcome).toBeGreaterThan(0);
    }
  });
});

describe("a pattern of words is refused on a long text", () => {
  const text = "a".repeat(200_000);
  test.each([
    ["that is made anew in each round", `(?:a${"b".repeat(2000)})*`],
    ["that asks for a thousand ranges at each character", `[${"b-c".repeat(1300)}]+|a`],
    ["that looks ahead without taking a character", "(?=)".repeat(1000)],
  ])("%s", async (_, pattern) => {
    const outcome = await bounded(() => {
      const scan = splitPattern(pattern);
      for (let at = 0; at < text.length; ) at = scan(text, at, text.length);
    });
    expect(outcome).toMatchObject({ code: "bad_request" });
  });
});

test("a class that a pattern names a thousand times takes the memory of one", () => {
  const before = process.memoryUsage().arrayBuffers;
  const scan = splitPattern(`(?:${"\\S|\\p{L}|".repeat(400)}a)+`);
  expect(scan("aa", 0, 2)).toBe(2);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4e6);
});

describe("a tokenizer.model is refused", () => {
  const piece = (...rest: number[]): number[] => [0x0a, rest.length, ...rest];
  test.each<[string, number[]]>([
    ["whose length is 4 GB", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x61]],
    ["whose length is negative", [0x0a, ...many(9, 0xff), 0x01]],
    ["whose piece's text is longer than it", piece(0x0a, 0x7f, 0x61)],
    ["whose number has no end", [0x0a, ...many(64, 0x80)]],
    ["of groups without an end", many(100_000, 0x0b)],
    ["of empty pieces", many(100_000, [0x0a, 0]).flat()],
    ["whose piece has a negative type", piece(0x0a, 1, 0x61, 0x18, ...many(9, 0xff), 0x01)],
    [
      "whose scores are no numbers",
      [...piece(0x0a, 1, 0x61, 0x15, 0, 0, 0xc0, 0x7f), 0x12, 2, 0x18, 2],
    ],
  ])("%s", async (_, bytes) => {
    const error = await bounded(() =>
      autoTokenizer({ "tokenizer.model": Uint8Array.from(bytes) }, { use_fast: false }),
    );
    expect(error).toMatchObject({
      name: "PronkError",
      code: expect.stringMatching(/^bad_|^unsup/),
    });
  });

  test("with a special id that is negative or outside has no such token", () => {
    const model = read("llama2_sp/tokenizer.model");
    // A later trainer_spec: bos_id -5, eos_id 4000000.
    const spec = [
      0x12,
      20,
      0xc8,
      0x02,
      0xfb,
      ...many(8, 0xff),
      0x01,
      0xd0,
      0x02,
      0x80,
      0x92,
      0xf4,
      0x01,
    ];
    spec[1] = spec.length - 2;
    const found = readSentencePieceModel(Uint8Array.from([...model, ...spec]));
    expect([found.bosId, found.eosId]).toEqual([undefined, undefined]);
  });
});

describe("a tiktoken file is refused", () => {
  test.each<[string, string, string]>([
    ["with other characters than base64's", "Y*== 0\n", "line 1"],
    ["with padding alone", "==== 0\n", "line 1"],
    ["with a gap", "YQ== 0\nYg== 5\n", "rank 5 of 2"],
    ["with a rank twice", "YQ== 0\nYg== 0\n", "rank 0 again"],
    ["with a token twice", "YQ== 0\nYQ== 1\n", "twice"],
    ["with a rank of twenty digits", "YQ== 99999999999999999999\n", "rank"],
    ["with a negative rank", "YQ== -1\n", "line 1"],
    ["with a token of a megabyte", `${"YWFh".repeat(3e5)} 0\n`, "line 1"],
    ["that is one long line", "A".repeat(8 << 20), "line 1"],
  ])("%s", async (_, file, why) => {
    const error = await bounded(() => compileTiktoken(bytesOf(file), []));
    expect(error).toMatchObject({ code: "bad_format", message: expect.stringContaining(why) });
  });

  test("with tokens that split in every place within the time of their bytes", async () => {
    // Every run of a letter up to 1,000: half a million pairs.
    const lines = Array.from(
      { length: 1000 },
      (_, i) => `${Buffer.from("a".repeat(i + 1)).toString("base64")} ${i}`,
    );
    const parts = await bounded(() => compileTiktoken(bytesOf(lines.join("\n")), []));
    expect((parts as { left: Uint32Array }).left).toHaveLength((1000 * 999) / 2);
  });
});

test.each(["llama2_sp/tokenizer.model", "llama3_tiktoken/tokenizer.model"])(
  "beside %s a vocabulary of a billion is refused before it is made",
  async (path) => {
    const files = new Map([["tokenizer.model", { size: 0, read: async () => read(path) }]]);
    const checkpoint = { name: "x", config: {}, tensors: new Map(), files };
    const error = await bounded(() => tokenizerMetadata(checkpoint, 1e9));
    expect(error).toMatchObject({
      code: "bad_format",
      message: expect.stringContaining("1000000000"),
    });
  },
);
