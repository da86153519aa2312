/** Rows of tokens as batches of the model, and its numbers as the rows' own again. */
import type { LlamaForSequenceClassification } from "../modeling/llama-for-sequence-classification.ts";
import type { Tensor } from "../modeling/tensor.ts";
import type { CallOptions } from "../tokenizer/batch-encoding.ts";
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";

/** Options for the tokenizer, that pipelines pass on. */
export type TokenizerKwargs = Pick<
  CallOptions,
  | "add_special_tokens"
  | "padding"
  | "truncation"
  | "max_length"
  | "stride"
  | "pad_to_multiple_of"
  | "padding_side"
  | "split_special_tokens"
>;

export const TOKENIZER_KWARGS: readonly (keyof TokenizerKwargs)[] = [
  "add_special_tokens",
  "padding",
  "truncation",
  "max_length",
  "stride",
  "pad_to_multiple_of",
  "padding_side",
  "split_special_tokens",
];

/** Those of the options that are the tokenizer's. */
export function tokenizerKwargs(options: TokenizerKwargs): TokenizerKwargs {
  return Object.fromEntries(
    TOKENIZER_KWARGS.flatMap((name) =>
      options[name] === undefined ? [] : [[name, options[name]] as const],
    ),
  );
}

/** Tokens of a row; without a mask all of them count. */
export interface TokenRow {
  readonly input_ids: readonly number[];
  readonly attention_mask?: readonly number[] | undefined;
}

export interface ModelBatch {
  readonly input_ids: readonly (readonly number[])[];
  readonly attention_mask: readonly (readonly number[])[];
}

export interface PaddingRules {
  readonly side?: "left" | "right";
  /** What rows are filled with, which only pooling models look at. */
  readonly pad?: number;
}

/** One length for all; a single row as it is. */
export function batchOf(
  rows: readonly TokenRow[],
  tokenizer: PreTrainedTokenizerBase,
  { side = tokenizer.padding_side, pad = tokenizer.pad_token_id ?? 0 }: PaddingRules = {},
): ModelBatch {
  const longest = rows.reduce((most, { input_ids }) => Math.max(most, input_ids.length), 0);
  const fill = (row: readonly number[], value: number): number[] => {
    const padding = new Array<number>(longest - row.length).fill(value);
    return side === "left" ? [...padding, ...row] : [...row, ...padding];
  };
  return {
    input_ids: rows.map(({ input_ids }) => fill(input_ids, pad)),
    attention_mask: rows.map(({ input_ids, attention_mask }) =>
      fill(attention_mask ?? input_ids.map(() => 1), 0),
    ),
  };
}

/** The labels' logits of each row. */
export async function labelLogits(
  model: LlamaForSequenceClassification,
  tokenizer: PreTrainedTokenizerBase,
  rows: readonly TokenRow[],
): Promise<Float32Array[]> {
  // The model knows padding by its own configuration's token, whatever the tokenizer's is.
  const pad = model.config.pad_token_id ?? undefined;
  const batch = batchOf(rows, tokenizer, pad === undefined ? {} : { pad });
  const { logits } = await model.forward({ ...batch, use_cache: false });
  const labels = logits.data.length / rows.length;
  return rows.map((_, row) => logits.data.slice(row * labels, (row + 1) * labels));
}

/** Of a (batch, length, width) tensor what the row's own tokens have: (tokens, width). */
export function rowOf(
  { dims, data }: Tensor,
  row: number,
  tokens: number,
  side: "left" | "right",
): Tensor {
  const [, length, width = 1] = dims as [number, number, number?];
  const first = row * length + (side === "left" ? length - tokens : 0);
  return { dims: [tokens, width], data: data.subarray(first * width, (first + tokens) * width) };
}
