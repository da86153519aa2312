/** Tokenizers in Hugging Face's and fairseq2's terms, as every public entry exports them. */
export {
  type CallOptions,
  cleanUpTokenization,
  type DecodeOptions,
  type EncodedBatch,
  type EncodedRow,
  type EncodedTensors,
  type IntTensor,
  type PaddingStrategy,
  type TokenLike,
  type TruncationStrategy,
  toCodePointOffsets,
} from "../llama/tokenizer/batch-encoding.ts";
export { type ChatTemplateOptions, DEFAULT_SYSTEM_PROMPT } from "../llama/tokenizer/chat.ts";
export { DecodeStream, type DecodeStreamOptions } from "../llama/tokenizer/decode-stream.ts";
export {
  type EncoderMode,
  type EncoderOptions,
  Fairseq2Tokenizer,
  type TokenEncoder,
  type VocabularyInfo as TokenizerVocabularyInfo,
} from "../llama/tokenizer/fairseq2-tokenizer.ts";
export type { LlamaTokenizerOptions } from "../llama/tokenizer/llama-tokenizer.ts";
export type { LlamaTokenizerFastOptions } from "../llama/tokenizer/llama-tokenizer-fast.ts";
export {
  LLaMATokenizerConfig,
  loadFairseq2Tokenizer,
} from "../llama/tokenizer/load-fairseq2-tokenizer.ts";
export {
  type AutoTokenizerOptions,
  autoTokenizer,
  tokenizerFromGguf,
  tokenizerFromTiktoken,
} from "../llama/tokenizer/load-tokenizer.ts";
export { PreTrainedTokenizerBase } from "../llama/tokenizer/pretrained-tokenizer-base.ts";
export { PreTrainedTokenizerFast } from "../llama/tokenizer/pretrained-tokenizer-fast.ts";
export type { SavePretrainedOptions } from "../llama/tokenizer/save-pretrained.ts";
export type { FileSink, FilesByName } from "../llama/tokenizer/tokenizer-files.ts";
export {
  getLlamaTokenizerHub,
  loadTokenizer,
  type TokenizerHubOptions,
} from "../llama/tokenizer/tokenizer-hub.ts";
export type { TokenizerOptions } from "../llama/tokenizer/tokenizer-options.ts";
export type { AddedToken } from "../tokenizers/tokenizer-json.ts";
