/** The fields of a GenerationConfig, and what they are where nobody says. null is Python's None. */
import type { SequenceBias } from "../../generate/logits-processors/sequence-bias.ts";

export interface GenerationFields {
  // How long
  /** Tokens of a row, prompt included. 20 by default, which then counts behind the prompt. */
  max_length: number;
  /** Tokens behind the prompt; wins over max_length. */
  max_new_tokens: number | null;
  min_length: number;
  min_new_tokens: number | null;
  /** Beam search: true stops at num_beams finished ones, false when better ones are unlikely, "never" when impossible. */
  early_stopping: boolean | "never";
  /** Seconds. */
  max_time: number | null;
  stop_strings: string | readonly string[] | null;

  // How
  do_sample: boolean;
  num_beams: number;

  // The cache
  use_cache: boolean;
  /** All kinds are one here: memory is planned, tokens are the same. */
  cache_implementation: string | null;
  cache_config: unknown;
  return_legacy_cache: boolean | null;
  /** Tokens of a prompt that are read at once. */
  prefill_chunk_size: number | null;

  // Scores
  temperature: number | null;
  top_k: number | null;
  top_p: number | null;
  min_p: number | null;
  typical_p: number | null;
  epsilon_cutoff: number | null;
  eta_cutoff: number | null;
  repetition_penalty: number | null;
  encoder_repetition_penalty: number | null;
  length_penalty: number;
  no_repeat_ngram_size: number | null;
  bad_words_ids: readonly (readonly number[])[] | null;
  renormalize_logits: boolean;
  forced_bos_token_id: number | null;
  forced_eos_token_id: number | readonly number[] | null;
  remove_invalid_values: boolean;
  exponential_decay_length_penalty: readonly [number, number] | null;
  suppress_tokens: readonly number[] | null;
  begin_suppress_tokens: readonly number[] | null;
  sequence_bias: SequenceBias | null;
  token_healing: boolean;
  guidance_scale: number | null;
  watermarking_config: unknown;

  // What comes back
  num_return_sequences: number;
  output_attentions: boolean;
  output_hidden_states: boolean;
  output_scores: boolean;
  output_logits: boolean | null;
  return_dict_in_generate: boolean;

  // Special tokens
  pad_token_id: number | null;
  bos_token_id: number | null;
  eos_token_id: number | readonly number[] | null;

  // Encoders, of which a Llama has none
  encoder_no_repeat_ngram_size: number | null;
  decoder_start_token_id: number | null;

  // Assisted decoding
  num_assistant_tokens: number;
  num_assistant_tokens_schedule: "constant" | "heuristic" | "heuristic_transient";
  assistant_confidence_threshold: number | null;
  prompt_lookup_num_tokens: number | null;
  max_matching_ngram_size: number | null;
  assistant_early_exit: number | null;
  assistant_lookbehind: number;
  target_lookbehind: number;

  // Kept, without effect: nothing is compiled here
  compile_config: unknown;
  disable_compile: boolean;

  // Refused by name where they are set
  low_memory: boolean | null;
  penalty_alpha: number | null;
  dola_layers: unknown;
  diversity_penalty: number;
  num_beam_groups: number;
  constraints: unknown;
  force_words_ids: unknown;
}

export const GENERATION_DEFAULTS: Readonly<GenerationFields> = {
  max_length: 20,
  max_new_tokens: null,
  min_length: 0,
  min_new_tokens: null,
  early_stopping: false,
  max_time: null,
  stop_strings: null,
  do_sample: false,
  num_beams: 1,
  use_cache: true,
  cache_implementation: null,
  cache_config: null,
  return_legacy_cache: null,
  prefill_chunk_size: null,
  temperature: 1,
  top_k: 50,
  top_p: 1,
  min_p: null,
  typical_p: 1,
  epsilon_cutoff: 0,
  eta_cutoff: 0,
  repetition_penalty: 1,
  encoder_repetition_penalty: 1,
  length_penalty: 1,
  no_repeat_ngram_size: 0,
  bad_words_ids: null,
  renormalize_logits: false,
  forced_bos_token_id: null,
  forced_eos_token_id: null,
  remove_invalid_values: false,
  exponential_decay_length_penalty: null,
  suppress_tokens: null,
  begin_suppress_tokens: null,
  sequence_bias: null,
  token_healing: false,
  guidance_scale: null,
  watermarking_config: null,
  num_return_sequences: 1,
  output_attentions: false,
  output_hidden_states: false,
  output_scores: false,
  output_logits: null,
  return_dict_in_generate: false,
  pad_token_id: null,
  bos_token_id: null,
  eos_token_id: null,
  encoder_no_repeat_ngram_size: 0,
  decoder_start_token_id: null,
  num_assistant_tokens: 20,
  num_assistant_tokens_schedule: "constant",
  assistant_confidence_threshold: 0.4,
  prompt_lookup_num_tokens: null,
  max_matching_ngram_size: null,
  assistant_early_exit: null,
  assistant_lookbehind: 10,
  target_lookbehind: 10,
  compile_config: null,
  disable_compile: false,
  low_memory: null,
  penalty_alpha: null,
  dola_layers: null,
  diversity_penalty: 0,
  num_beam_groups: 1,
  constraints: null,
  force_words_ids: null,
};
