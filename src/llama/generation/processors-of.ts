/** The processors that a configuration asks for, in the reference's order (_get_logits_processor). */
import {
  EpsilonLogitsWarper,
  EtaLogitsWarper,
  TypicalLogitsWarper,
} from "../../generate/logits-processors/entropy-warpers.ts";
import {
  ExponentialDecayLengthPenalty,
  ForcedBOSTokenLogitsProcessor,
  ForcedEOSTokenLogitsProcessor,
  MinLengthLogitsProcessor,
  MinNewTokensLengthLogitsProcessor,
} from "../../generate/logits-processors/length-processors.ts";
import {
  invalid,
  type LogitsProcessor,
  LogitsProcessorList,
  type TokenRows,
} from "../../generate/logits-processors/logits-processor.ts";
import {
  EncoderNoRepeatNGramLogitsProcessor,
  NoRepeatNGramLogitsProcessor,
} from "../../generate/logits-processors/ngrams.ts";
import {
  NoBadWordsLogitsProcessor,
  SequenceBiasLogitsProcessor,
} from "../../generate/logits-processors/sequence-bias.ts";
import {
  InfNanRemoveLogitsProcessor,
  LogitNormalization,
  type PrefixAllowedTokens,
  PrefixConstrainedLogitsProcessor,
  SuppressTokensAtBeginLogitsProcessor,
  SuppressTokensLogitsProcessor,
} from "../../generate/logits-processors/token-sets.ts";
import {
  EncoderRepetitionPenaltyLogitsProcessor,
  MinPLogitsWarper,
  RepetitionPenaltyLogitsProcessor,
  TemperatureLogitsWarper,
  TopKLogitsWarper,
  TopPLogitsWarper,
} from "../../generate/logits-processors/warpers.ts";
import type { GenerationConfig } from "./generation-config.ts";

export interface ProcessorInputs {
  /** Ids of a row's prompt, padding included. */
  readonly promptLength: number;
  /** The prompts, (rows, length); absent where they are embeddings. */
  readonly encoder_input_ids?: TokenRows;
  readonly eos: readonly number[] | undefined;
  readonly prefix_allowed_tokens_fn?: PrefixAllowedTokens;
  /** The caller's own: one of a class that the configuration asks for, too, takes its place. */
  readonly custom?: Iterable<LogitsProcessor>;
  /** Goes before all others. */
  readonly guidance?: LogitsProcessor;
}

/** @throws PronkError "bad_request" where a value cannot be. */
export function processorsOf(
  config: GenerationConfig,
  inputs: ProcessorInputs,
): LogitsProcessorList {
  const { eos, promptLength, custom = [] } = inputs;
  const list: LogitsProcessor[] = inputs.guidance ? [inputs.guidance] : [];
  const { encoder_input_ids } = inputs;
  if (config.sequence_bias !== null) {
    list.push(new SequenceBiasLogitsProcessor(config.sequence_bias));
  }
  if (isSet(config.encoder_repetition_penalty, 1) && encoder_input_ids) {
    list.push(
      new EncoderRepetitionPenaltyLogitsProcessor(
        config.encoder_repetition_penalty,
        encoder_input_ids,
      ),
    );
  }
  if (isSet(config.repetition_penalty, 1)) {
    list.push(new RepetitionPenaltyLogitsProcessor(config.repetition_penalty));
  }
  if (isSet(config.no_repeat_ngram_size, 0)) {
    list.push(new NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size));
  }
  if (isSet(config.encoder_no_repeat_ngram_size, 0) && encoder_input_ids) {
    list.push(
      new EncoderNoRepeatNGramLogitsProcessor(
        config.encoder_no_repeat_ngram_size,
        encoder_input_ids,
      ),
    );
  }
  if (config.bad_words_ids !== null) {
    list.push(new NoBadWordsLogitsProcessor(config.bad_words_ids, eos));
  }
  if (eos !== undefined && config.min_length > 0) {
    list.push(new MinLengthLogitsProcessor(config.min_length, eos));
  }
  if (eos !== undefined && isSet(config.min_new_tokens, 0)) {
    list.push(new MinNewTokensLengthLogitsProcessor(promptLength, config.min_new_tokens, eos));
  }
  if (inputs.prefix_allowed_tokens_fn) {
    list.push(
      new PrefixConstrainedLogitsProcessor(inputs.prefix_allowed_tokens_fn, config.num_beams),
    );
  }
  if (config.forced_bos_token_id !== null) {
    list.push(new ForcedBOSTokenLogitsProcessor(config.forced_bos_token_id));
  }
  if (config.forced_eos_token_id !== null) {
    list.push(new ForcedEOSTokenLogitsProcessor(config.max_length, config.forced_eos_token_id));
  }
  if (config.remove_invalid_values) list.push(new InfNanRemoveLogitsProcessor());
  const decay = config.exponential_decay_length_penalty;
  if (decay !== null) {
    if (eos === undefined) {
      const param = "exponential_decay_length_penalty";
      throw invalid(param, `\`${param}\` needs an \`eos_token_id\`.`);
    }
    list.push(new ExponentialDecayLengthPenalty(decay, eos, promptLength));
  }
  if (config.suppress_tokens !== null) {
    list.push(new SuppressTokensLogitsProcessor(config.suppress_tokens));
  }
  if (config.begin_suppress_tokens !== null) {
    const isForced = promptLength <= 1 && config.forced_bos_token_id !== null;
    const begin = isForced ? promptLength + 1 : promptLength;
    list.push(new SuppressTokensAtBeginLogitsProcessor(config.begin_suppress_tokens, begin));
  }

  const merged = mergeCustom(list, [...custom]);
  if (config.do_sample) merged.push(...warpersOf(config, eos));
  if (config.renormalize_logits) merged.push(new LogitNormalization());
  return new LogitsProcessorList(merged);
}

function warpersOf(
  config: GenerationConfig,
  eos: readonly number[] | undefined,
): LogitsProcessor[] {
  // Beams need another way to go on beside every end token.
  const min_tokens_to_keep = config.num_beams > 1 ? (eos?.length ?? 1) + 1 : 1;
  const keep = { min_tokens_to_keep };
  const { temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff } = config;
  const list: LogitsProcessor[] = [];
  if (isSet(temperature, 1)) list.push(new TemperatureLogitsWarper(temperature));
  if (isSet(top_k, 0)) list.push(new TopKLogitsWarper(top_k, keep));
  if (top_p !== null && top_p < 1) list.push(new TopPLogitsWarper(top_p, keep));
  if (min_p !== null) list.push(new MinPLogitsWarper(min_p, keep));
  if (typical_p !== null && typical_p < 1) list.push(new TypicalLogitsWarper(typical_p, keep));
  if (epsilon_cutoff !== null && epsilon_cutoff > 0 && epsilon_cutoff < 1) {
    list.push(new EpsilonLogitsWarper(epsilon_cutoff, keep));
  }
  if (eta_cutoff !== null && eta_cutoff > 0 && eta_cutoff < 1) {
    list.push(new EtaLogitsWarper(eta_cutoff, keep));
  }
  return list;
}

/** The caller's objects take the places of those of their own class; the rest of them follow. */
export function mergeCustom<T extends object>(own: readonly T[], custom: readonly T[]): T[] {
  const merged = own.map((one) => custom.find((it) => it.constructor === one.constructor) ?? one);
  return [...merged, ...custom.filter((one) => !merged.includes(one))];
}

function isSet(value: number | null, idle: number): value is number {
  return value !== null && value !== idle;
}
