/** The pipeline of Meta's tokenizer.model of Llama 3: tiktoken ranks, and special tokens behind them. */

import { LLAMA3_SPECIAL } from "../../tokenizers/llama3-special-tokens.ts";
import { pipelineFromVocabulary } from "../../tokenizers/pipeline/load-pipeline.ts";
import { LLAMA3_PATTERN } from "../../tokenizers/pipeline/recipe.ts";
import type { TokenizerPipeline } from "../../tokenizers/pipeline/tokenizer-pipeline.ts";
import { splitPattern } from "../../tokenizers/split-pattern.ts";
import { compileTiktoken } from "../../tokenizers/tiktoken-ranks.ts";
import { readVocabulary, type Vocabulary, writeVocabulary } from "../../tokenizers/vocabulary.ts";
import { wordScanner } from "../../tokenizers/word-patterns.ts";

/** Protocol buffers of SentencePiece begin with a line feed, the tag of the first piece. */
export function looksLikeTiktoken(file: Uint8Array): boolean {
  return file.length > 0 && file[0] !== 0x0a && file.subarray(0, 256).includes(0x20);
}

/**
 * @param regex words, in place of Llama 3's pattern
 * @throws PronkError "bad_format" naming the line.
 */
export function tiktokenPipeline(
  file: Uint8Array,
  regex: string | null,
): { readonly vocabulary: Vocabulary; readonly pipeline: TokenizerPipeline } {
  const vocabulary = readVocabulary(
    writeVocabulary({
      ...compileTiktoken(file, LLAMA3_SPECIAL),
      bosId: undefined,
      eosId: undefined,
      padId: undefined,
      eogIds: new Uint32Array(0),
    }),
  );
  const scanner =
    regex === null || regex === LLAMA3_PATTERN
      ? wordScanner("llama-3")
      : splitPattern(regex, "dropped");
  const modelSize = vocabulary.size - LLAMA3_SPECIAL.length;
  return { vocabulary, pipeline: pipelineFromVocabulary(vocabulary, { scanner, modelSize }) };
}
