/** The compiled tokenizer, as a pack holds it: viewed, not parsed, so that every number in it has to be right. */
import {
  compileSentencePieceModel,
  compileTokenizer,
} from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { pipelineFromVocabulary } from "../../../src/tokenizers/pipeline/load-pipeline.ts";
import { readVocabulary } from "../../../src/tokenizers/vocabulary.ts";
import { byteLevelMetadata, sentencePieceMetadata } from "../../unit/tokenizers/vocabularies.ts";
import { type Layout, layoutOf } from "../layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { tokenize, usePipeline } from "../tokenize.ts";
import { target as sentencePiece } from "./sentencepiece.ts";

const MAGIC = "pTok";

const special = [
  ["<|im_end|>", 3],
  ["<user>", 4],
] as const;
const pieces = [
  ["\u2581", -1],
  ["a", -2],
  ["b", -3],
  ["ab", -4],
  ["\u2581a", -5],
] as const;

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  if (new TextDecoder().decode(input.subarray(0, 4)) === MAGIC && input.length >= 80)
    probe.pastHeader();
  const tokenizer = loadTokenizer(input);
  probe.saw(`${tokenizer.vocabSize} tokens`);
  probe.saw(`${Math.log2(1 + (await tokenize(tokenizer))) | 0} ids`);
  usePipeline(pipelineFromVocabulary(readVocabulary(input)));
}

/** A header of u32, then tables of u32, types and bytes. */
function words(input: Uint8Array): Layout {
  return layoutOf(input, (reader) => {
    reader.skip("bytes", 4);
    while (reader.at + 4 <= input.length) {
      const { start, end } = reader.skip("le", 4);
      if (start >= 80) reader.layout.section("word", start, end);
    }
  });
}

async function seeds(): Promise<Uint8Array[]> {
  const [model] = await sentencePiece.seeds();
  return [
    compileTokenizer(
      byteLevelMetadata({
        merges: [
          ["a", "b"],
          [" ", "a"],
          ["a", "ab"],
          ["t", "h"],
        ],
        special,
        more: { bos_token_id: 0, add_bos_token: true, eos_token_id: 260 },
      }),
    ),
    compileTokenizer(sentencePieceMetadata({ pieces, bytes: false, special })),
    compileTokenizer(sentencePieceMetadata({ pieces, special, more: { add_space_prefix: false } })),
    compileSentencePieceModel(model!),
  ];
}

export const target: FuzzTarget = {
  seeds,
  layout: words,
  run,
  planted: {
    name: "a merge may make a token that there is not",
    file: "src/tokenizers/vocabulary.ts",
    find: "[v.merged, v.size],",
    replace: "[v.merged, 0xffffffff],",
  },
};
