/** The tokenizer class that files ask for, and tokenizers of GGUF metadata. */
import type { MetadataValue } from "../../formats/model-file.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { compileTokenizer } from "../../tokenizers/compile-tokenizer.ts";
import { LLAMA3_TOKENS } from "../../tokenizers/llama3-special-tokens.ts";
import { loadTokenizer } from "../../tokenizers/load-tokenizer.ts";
import {
  pipelineFromJson,
  pipelineFromVocabulary,
} from "../../tokenizers/pipeline/load-pipeline.ts";
import { bosEosProcessor } from "../../tokenizers/pipeline/post-processor.ts";
import { readVocabulary } from "../../tokenizers/vocabulary.ts";
import { LlamaTokenizer } from "./llama-tokenizer.ts";
import { LlamaTokenizerFast } from "./llama-tokenizer-fast.ts";
import type { PreTrainedTokenizerBase } from "./pretrained-tokenizer-base.ts";
import { PreTrainedTokenizerFast } from "./pretrained-tokenizer-fast.ts";
import { looksLikeTiktoken, tiktokenPipeline } from "./tiktoken-pipeline.ts";
import { type FilesByName, readTokenizerFiles } from "./tokenizer-files.ts";
import type { TokenizerOptions } from "./tokenizer-options.ts";

export interface AutoTokenizerOptions extends TokenizerOptions {
  /** LlamaTokenizerFast in place of LlamaTokenizer. Default true. */
  readonly use_fast?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The tokenizer of a folder, as AutoTokenizer chooses it: LlamaTokenizerFast where the configuration
 * names a Llama class, else the tokenizer.json as it is.
 *
 * @throws PronkError "not_found" without a tokenizer; "bad_format"; "unsupported".
 */
export async function autoTokenizer(
  source: SourceFolder | FilesByName,
  options: AutoTokenizerOptions = {},
): Promise<PreTrainedTokenizerBase> {
  const { use_fast = true, signal, ...given } = options;
  const files = await readTokenizerFiles(source, signal);
  const { tokenizerJson, tokenizerModel } = files;
  const settings = { ...files.options, ...given };
  const isLlama = /^Llama(?:Code)?Tokenizer(?:Fast)?$/.test(files.className ?? "");
  if (tokenizerModel !== undefined && tokenizerJson === undefined) {
    if (looksLikeTiktoken(tokenizerModel)) return tokenizerFromTiktoken(tokenizerModel, settings);
  }
  if (tokenizerModel !== undefined && (!use_fast || tokenizerJson === undefined)) {
    if (!use_fast) return new LlamaTokenizer({ ...settings, vocab_file: tokenizerModel });
    return new LlamaTokenizerFast({ ...settings, vocab_file: tokenizerModel });
  }
  if (isLlama) {
    const model = tokenizerModel === undefined ? {} : { vocab_file: tokenizerModel };
    return new LlamaTokenizerFast({ ...settings, ...model, tokenizer_file: tokenizerJson! });
  }
  return new PreTrainedTokenizerFast(pipelineFromJson(tokenizerJson!), settings);
}

/**
 * The tokenizer of Meta's tokenizer.model of Llama 3, as transformers converts it: texts begin with BOS.
 *
 * @throws PronkError "bad_format" naming the line.
 */
export function tokenizerFromTiktoken(
  file: Uint8Array,
  options: TokenizerOptions = {},
): PreTrainedTokenizerFast {
  const { pipeline } = tiktokenPipeline(file, null);
  const { bos, end } = LLAMA3_TOKENS;
  pipeline.postProcessor = bosEosProcessor(pipeline.tokenId(bos), undefined);
  return new PreTrainedTokenizerFast(pipeline, { bos_token: bos, eos_token: end, ...options });
}

/**
 * The tokenizer of a GGUF file, from its metadata.
 *
 * @throws PronkError "bad_format"; "unsupported".
 */
export function tokenizerFromGguf(
  metadata: ReadonlyMap<string, MetadataValue>,
  options: TokenizerOptions = {},
): PreTrainedTokenizerFast {
  const template = metadata.get("tokenizer.chat_template");
  return tokenizerFromBlock(compileTokenizer(metadata), {
    chat_template: typeof template === "string" ? template : null,
    ...options,
  });
}

/** The tokenizer of a compiled block, as packs have it. @throws PronkError "bad_format". */
export function tokenizerFromBlock(
  block: Uint8Array,
  options: TokenizerOptions = {},
): PreTrainedTokenizerFast {
  const own = loadTokenizer(block);
  const textOf = (id: number | undefined): string | null =>
    id === undefined ? null : own.tokenText(id);
  return new PreTrainedTokenizerFast(pipelineFromVocabulary(readVocabulary(block)), {
    bos_token: textOf(own.bosId),
    eos_token: textOf(own.eosId),
    unk_token: textOf(own.unkId),
    pad_token: textOf(own.padId),
    ...options,
  });
}
