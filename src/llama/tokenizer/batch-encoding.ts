/** What calling a tokenizer takes and gives; names, values and defaults as in transformers. */
import type { Side } from "../../tokenizers/pipeline/encoding.ts";
import type { AddedToken } from "../../tokenizers/tokenizer-json.ts";

export type PaddingStrategy = boolean | "longest" | "max_length" | "do_not_pad";
export type TruncationStrategy =
  | boolean
  | "longest_first"
  | "only_first"
  | "only_second"
  | "do_not_truncate";

/** Names of libraries in Python; each gives the same IntTensor. */
export type TensorType = "pt" | "np" | "jax" | "tf";

/** A text, or words that are already split. */
export type TextInput = string | readonly string[];

export interface CallOptions {
  readonly text_pair?: string | readonly string[] | readonly (readonly string[])[];
  /** Default true. */
  readonly add_special_tokens?: boolean;
  /** Default false. */
  readonly padding?: PaddingStrategy;
  /** Default false; `longest_first` when max_length is given alone. */
  readonly truncation?: TruncationStrategy;
  readonly max_length?: number;
  /** Tokens that overflowing parts share. Default 0. */
  readonly stride?: number;
  /** The text is a list of words. */
  readonly is_split_into_words?: boolean;
  readonly pad_to_multiple_of?: number;
  readonly padding_side?: Side;
  readonly return_tensors?: TensorType;
  readonly return_token_type_ids?: boolean;
  readonly return_attention_mask?: boolean;
  readonly return_overflowing_tokens?: boolean;
  readonly return_special_tokens_mask?: boolean;
  readonly return_offsets_mapping?: boolean;
  readonly return_length?: boolean;
  /** What `word_ids()` of a fast tokenizer's BatchEncoding gives. */
  readonly return_word_ids?: boolean;
  /** What `sequence_ids()` of a fast tokenizer's BatchEncoding gives. */
  readonly return_sequence_ids?: boolean;
  /** Special tokens that the text spells are text. Default: the tokenizer's own. */
  readonly split_special_tokens?: boolean;
}

/** Row-major; what return_tensors asks for. */
export interface IntTensor {
  readonly data: Int32Array;
  readonly shape: readonly number[];
}

/** One text. Fields that were not asked for are absent. */
export interface EncodedRow {
  input_ids: number[];
  attention_mask?: number[];
  token_type_ids?: number[];
  special_tokens_mask?: number[];
  /** Half-open places in the text, in UTF-16 units (as in text.slice()); [0, 0] for added tokens. */
  offset_mapping?: [number, number][];
  length?: number;
  /** Of each token its word's number in its text, null for added tokens; of split words, the word's index. */
  word_ids?: (number | null)[];
  /** 0 or 1 for the first and the second text, null for added tokens. */
  sequence_ids?: (number | null)[];
  /** Of LlamaTokenizer, which gives the ids that were cut off. */
  overflowing_tokens?: number[];
  num_truncated_tokens?: number;
}

/** Several texts, a row each; LlamaTokenizerFast gives overflows rows of their own. */
export interface EncodedBatch {
  input_ids: number[][];
  attention_mask?: number[][];
  token_type_ids?: number[][];
  special_tokens_mask?: number[][];
  offset_mapping?: [number, number][][];
  length?: number[];
  word_ids?: (number | null)[][];
  sequence_ids?: (number | null)[][];
  overflowing_tokens?: number[][];
  num_truncated_tokens?: number[];
  /** Which of the texts each row is of. */
  overflow_to_sample_mapping?: number[];
}

/** With return_tensors: a row of one text is a batch of one. */
export interface EncodedTensors {
  input_ids: IntTensor;
  attention_mask?: IntTensor;
  token_type_ids?: IntTensor;
  special_tokens_mask?: IntTensor;
  offset_mapping?: IntTensor;
  length?: IntTensor;
  overflow_to_sample_mapping?: IntTensor;
}

export interface DecodeOptions {
  /** Default false. */
  readonly skip_special_tokens?: boolean;
  /** Default: the tokenizer's own. */
  readonly clean_up_tokenization_spaces?: boolean;
  /** Of LlamaTokenizer: spaces around added tokens. Default true, as in transformers. */
  readonly spaces_between_special_tokens?: boolean;
}

/** A token as options name it: its text, or with flags. */
export type TokenLike = string | (Partial<AddedToken> & { readonly content: string });

/** Takes back the spaces that some tokenizers put before punctuation. */
export function cleanUpTokenization(text: string): string {
  return text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}

/**
 * Offsets in code points, as Python counts them, of offsets in UTF-16 units of this text.
 */
export function toCodePointOffsets(
  text: string,
  offsets: readonly (readonly [number, number])[],
): [number, number][] {
  const points = new Uint32Array(text.length + 1);
  let point = 0;
  for (let i = 0; i < text.length; i++) {
    points[i] = point;
    const high = (text.charCodeAt(i) & 0xfc00) === 0xd800;
    if (!high || (text.charCodeAt(i + 1) & 0xfc00) !== 0xdc00) point++;
  }
  points[text.length] = point;
  return offsets.map(([start, end]) => [points[start]!, points[end]!]);
}
