/** A tokenizer in a GGUF file's metadata: byte-level and SentencePiece, compiled and used. */

import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import type { MetadataValue, PackedStrings } from "../../../src/formats/model-file.ts";
import { packedString } from "../../../src/formats/packed-strings.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { type Entry, writeGguf } from "../../unit/formats/gguf-writer.ts";
import { byteLevelMetadata, sentencePieceMetadata } from "../../unit/tokenizers/vocabularies.ts";
import { ggufLayout } from "../gguf-layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { tokenize } from "../tokenize.ts";
import { usable } from "../usable.ts";

function entry(key: string, value: MetadataValue): Entry {
  if (typeof value === "string") return { key, kind: "string", value };
  if (typeof value === "boolean") return { key, kind: "bool", value: value ? 1 : 0 };
  if (typeof value !== "object") return { key, kind: "u32", value };
  if (!("offsets" in value)) {
    const of = value instanceof Float32Array ? "f32" : "i32";
    return { key, kind: "array", of, values: Array.from(value as Float32Array) };
  }
  const strings = value as PackedStrings;
  const values = Array.from({ length: strings.length }, (_, i) => packedString(strings, i));
  return { key, kind: "array", of: "string", values };
}

const file = (metadata: ReadonlyMap<string, MetadataValue>): Uint8Array =>
  writeGguf({ entries: [...metadata].map(([key, value]) => entry(key, value)) }).bytes;

const special = [
  ["<|im_end|>", 3],
  ["<user>", 4],
] as const;

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  if (input.length > 24 && input[0] === 0x47 && input[3] === 0x46) probe.pastHeader();
  const { metadata } = await readGguf(memorySource(input, "fuzz.gguf"));
  const block = compileTokenizer(metadata);
  const tokenizer = await usable("the vocabulary", () => loadTokenizer(block));
  probe.saw(
    `${Math.log2(1 + (await tokenize(tokenizer))) | 0} ids of ${Math.log2(tokenizer.vocabSize) | 0}`,
  );
}

export const target: FuzzTarget = {
  seeds: () => [
    file(
      byteLevelMetadata({
        merges: [
          ["a", "b"],
          [" ", "a"],
          ["a", "ab"],
          ["t", "h"],
          ["th", "e"],
        ],
        special,
        more: { bos_token_id: 0, add_bos_token: true, eos_token_id: 261 },
      }),
    ),
    file(
      sentencePieceMetadata({
        pieces: [
          ["\u2581", -1],
          ["a", -2],
          ["b", -3],
          ["ab", -4],
          ["\u2581a", -5],
        ],
        bytes: false,
        special,
      }),
    ),
    file(
      sentencePieceMetadata({
        pieces: [
          ["\u2581", -1],
          ["a", -2],
          ["ab", -4],
        ],
        special,
        more: { add_space_prefix: false },
      }),
    ),
  ],
  layout: ggufLayout,
  words: [
    ..."model,pre,tokens,scores,merges,token_type,bos_token_id,eos_token_id,add_bos_token,add_space_prefix"
      .split(",")
      .map((key) => `tokenizer.ggml.${key}`),
    ...[
      "gpt2",
      "llama",
      "llama-bpe",
      "smollm",
      "a b",
      " ",
      "a  b",
      "\u0120 a",
      "<0x41>",
      "<s>",
      "<|eot_id|>",
    ],
  ],
  run,
  planted: {
    name: "special tokens that are none of the vocabulary's",
    file: "src/tokenizers/tokenizer-metadata.ts",
    find: "value < 0 || value >= vocab) {",
    replace: "value < 0) {",
  },
};
