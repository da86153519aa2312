/** Generation in Hugging Face's terms, as every public entry exports it. */
export {
  EpsilonLogitsWarper,
  EtaLogitsWarper,
  TypicalLogitsWarper,
} from "../generate/logits-processors/entropy-warpers.ts";
export {
  ExponentialDecayLengthPenalty,
  ForcedBOSTokenLogitsProcessor,
  ForcedEOSTokenLogitsProcessor,
  MinLengthLogitsProcessor,
  MinNewTokensLengthLogitsProcessor,
} from "../generate/logits-processors/length-processors.ts";
export {
  type FilterOptions,
  type LogitsProcessor,
  LogitsProcessorList,
  type ScoreRows,
  type TokenRows,
} from "../generate/logits-processors/logits-processor.ts";
export {
  EncoderNoRepeatNGramLogitsProcessor,
  NoRepeatNGramLogitsProcessor,
} from "../generate/logits-processors/ngrams.ts";
export {
  NoBadWordsLogitsProcessor,
  type SequenceBias,
  SequenceBiasLogitsProcessor,
} from "../generate/logits-processors/sequence-bias.ts";
export {
  InfNanRemoveLogitsProcessor,
  LogitNormalization,
  type PrefixAllowedTokens,
  PrefixConstrainedLogitsProcessor,
  SuppressTokensAtBeginLogitsProcessor,
  SuppressTokensLogitsProcessor,
} from "../generate/logits-processors/token-sets.ts";
export {
  EncoderRepetitionPenaltyLogitsProcessor,
  MinPLogitsWarper,
  RepetitionPenaltyLogitsProcessor,
  TemperatureLogitsWarper,
  TopKLogitsWarper,
  TopPLogitsWarper,
} from "../generate/logits-processors/warpers.ts";
export {
  type BeamSearchOptions,
  BeamSearchSequenceGenerator,
  type Hypothesis,
  type VocabularyInfo,
} from "../llama/generation/fairseq2-beam-search.ts";
export { generate } from "../llama/generation/generate.ts";
export type { GenerateOptions } from "../llama/generation/generate-options.ts";
export type { GenerationMode } from "../llama/generation/generation-config.ts";
export type { GenerationFields } from "../llama/generation/generation-fields.ts";
export type { GenerateOutput } from "../llama/generation/generation-run.ts";
export type {
  GenerationCache,
  GenerativeModel,
  RowInput,
} from "../llama/generation/generative-model.ts";
export {
  type GuidanceOptions,
  UnbatchedClassifierFreeGuidanceLogitsProcessor,
} from "../llama/generation/guidance.ts";
export {
  EosTokenCriteria,
  MaxLengthCriteria,
  MaxTimeCriteria,
  type StoppingCriteria,
  StoppingCriteriaList,
  StopStringCriteria,
  type TextOfTokens,
} from "../llama/generation/stopping-criteria.ts";
export {
  type BaseStreamer,
  type StreamedTokenizer,
  TextIteratorStreamer,
  type TextIteratorStreamerOptions,
  TextStreamer,
  type TextStreamerOptions,
} from "../llama/generation/streamers.ts";
export { computeTransitionScores } from "../llama/generation/transition-scores.ts";
