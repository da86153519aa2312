/** tokenizer.json: its parts become a pipeline that encodes and decodes, and is written again. */
import { pipelineFromJson } from "../../../src/tokenizers/pipeline/load-pipeline.ts";
import { readJson } from "../json-layout.ts";
import { layoutOf } from "../layout.ts";
import { writePattern } from "../pattern-writer.ts";
import type { Random } from "../random.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { usePipeline } from "../tokenize.ts";

const token = (id: number, content: string, special = true) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: !special,
  special,
});

const BYTE_LEVEL = {
  version: "1.0",
  truncation: null,
  added_tokens: [token(8, "<|im_end|>"), token(9, "the", false)],
  normalizer: {
    type: "Sequence",
    normalizers: [{ type: "NFC" }, { type: "Replace", pattern: { String: "x" }, content: "y" }],
  },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      {
        type: "Split",
        pattern: { Regex: "\\p{N}{1,3}|[^\\s\\p{L}]+| ?\\p{L}+(?!x)|\\s+" },
        behavior: "Isolated",
        invert: false,
      },
      { type: "Digits", individual_digits: true },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "<|im_end|>", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
    ],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<|im_end|>": { id: "<|im_end|>", ids: [8], tokens: ["<|im_end|>"] } },
  },
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: { a: 0, b: 1, "\u0120": 2, ab: 3, aa: 4, "\u0120a": 5, aab: 6, "1": 7 },
    merges: [
      ["a", "b"],
      ["a", "a"],
      ["\u0120", "a"],
      ["aa", "b"],
    ],
  },
};

const METASPACE = {
  version: "1.0",
  added_tokens: [token(0, "<unk>"), token(1, "<s>"), token(2, "</s>")],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "\u2581" },
      { type: "Replace", pattern: { String: " " }, content: "\u2581" },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [],
    special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
  },
  decoder: {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "\u2581" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
      { type: "Strip", content: " ", start: 1, stop: 0 },
    ],
  },
  model: {
    type: "BPE",
    unk_token: "<unk>",
    fuse_unk: true,
    byte_fallback: true,
    vocab: {
      "<unk>": 0,
      "<s>": 1,
      "</s>": 2,
      "<0x0A>": 3,
      "<0xC3>": 4,
      "\u2581": 5,
      a: 6,
      b: 7,
      ab: 8,
      "\u2581a": 9,
    },
    merges: ["a b", "\u2581 a"],
  },
};

const METASPACE_STEP = {
  ...METASPACE,
  normalizer: null,
  pre_tokenizer: {
    type: "Metaspace",
    replacement: "\u2581",
    prepend_scheme: "first",
    split: false,
  },
  post_processor: {
    type: "Sequence",
    processors: [{ type: "ByteLevel", trim_offsets: true }, METASPACE.post_processor],
  },
  decoder: { type: "Metaspace", replacement: "\u2581", prepend_scheme: "always", split: true },
};

function run(input: Uint8Array, probe: Probe): void {
  if (input[0] === 0x7b) probe.pastHeader();
  const pipeline = pipelineFromJson(input, "tokenizer.json");
  probe.saw(`${pipeline.size} tokens`);
  probe.saw(`${Math.log2(1 + usePipeline(pipeline)) | 0} ids`);
  const again = pipelineFromJson(pipeline.toJson(), "written.json");
  if (again.size !== pipeline.size)
    throw new Error(`${pipeline.size} tokens were written, ${again.size} read`);
}

/** Another pattern of words, or of what is replaced. */
function otherPattern(input: Uint8Array, random: Random): Uint8Array {
  const text = new TextDecoder().decode(input);
  const found = [...text.matchAll(/"(Regex|String)":"((?:[^"\\]|\\.)*)"/g)];
  if (found.length === 0) return input;
  const { index, 0: whole } = random.pick(found);
  const pattern = JSON.stringify({ Regex: writePattern(random) }).slice(1, -1);
  return new TextEncoder().encode(
    text.slice(0, index) + pattern + text.slice(index + whole.length),
  );
}

export const target: FuzzTarget = {
  edits: [otherPattern],
  seeds: () =>
    [BYTE_LEVEL, METASPACE, METASPACE_STEP].map((file) =>
      new TextEncoder().encode(JSON.stringify(file)),
    ),
  layout: (input) => layoutOf(input, (reader) => readJson(reader)),
  words: [
    ..."Sequence,NFC,NFD,NFKC,NFKD,Lowercase,Replace,Prepend,Strip,StripAccents,Metaspace,ByteLevel,Digits,Split,Isolated".split(
      ",",
    ),
    ..."Removed,TemplateProcessing,RobertaProcessing,Fuse,ByteFallback,BPE,Unigram,WordPiece,first,never,always,Regex,String".split(
      ",",
    ),
    ..."ignore_merges,dropout,fuse_unk,unk_token,single_word,lstrip,rstrip,normalized,special,__proto__,A,B,<unk>".split(
      ",",
    ),
    ...[
      "(?=a)",
      "(a+)+$",
      "(?:a|a)*b",
      "[^\\\\s]+",
      "\\\\p{L}*\\\\p{L}*x",
      "(?i:'s)",
      "a{1,1000}{1,1000}",
      "(",
      "[",
      "\\\\1(a)",
    ],
  ],
  run,
  planted: {
    name: "a pattern of words takes as many steps as it likes",
    file: "src/tokenizers/split-pattern.ts",
    find: "if (input.credit >= 0) return;",
    replace: "return;",
  },
};
