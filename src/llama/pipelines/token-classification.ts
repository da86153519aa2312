/**
 * Labels of tokens, and entities of them.
 *
 * Source: pipelines/token_classification.py in transformers 4.57. Llama's tokenizers have no subword prefix, so
 * there as here words end where a space is.
 */
import { PronkError } from "../../errors.ts";
import type { LlamaForTokenClassification } from "../modeling/llama-for-token-classification.ts";
import type { Tensor } from "../modeling/tensor.ts";
import type { CallOptions, EncodedBatch } from "../tokenizer/batch-encoding.ts";
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";
import {
  type AggregationStrategy,
  type Entity,
  entitiesOf,
  STRATEGIES,
  type TokenScores,
  withoutOverlaps,
} from "./entities.ts";
import { batchOf, rowOf } from "./model-rows.ts";
import {
  badOption,
  checkOptions,
  type Iterating,
  type PipelineObject,
  type PipelineParts,
  pipelineObject,
  withoutUndefined,
} from "./pipeline-object.ts";
import { collect, type RunOptions, runStages } from "./run-stages.ts";
import { softmax } from "./scores.ts";

/** Half-open, in UTF-16 units. */
export type Span = readonly [start: number, end: number];

export interface TokenClassificationOptions extends RunOptions {
  /** Default ["O"]. */
  readonly ignore_labels?: readonly string[];
  /** How tokens become entities. Default "none". */
  readonly aggregation_strategy?: AggregationStrategy | (string & {});
  /** Older names: true is "simple", with ignore_subwords "first"; false is "none". */
  readonly grouped_entities?: boolean | null;
  readonly ignore_subwords?: boolean | null;
  /** Tokens that windows of the tokenizer's model_max_length share, so that long texts are read to their end. */
  readonly stride?: number | null;
  /** Inputs are lists of words. */
  readonly is_split_into_words?: boolean;
  /** Between words, in the text that places are of. Default " ". */
  readonly delimiter?: string | null;
  /** Places of the tokens, special ones included, in place of the tokenizer's: of one text, or of each. */
  readonly offset_mapping?: readonly Span[] | readonly (readonly Span[])[];
}

/** A text, or its words. */
export type TokenizedText = string | readonly string[];

type WithWords = TokenClassificationOptions & { readonly is_split_into_words: true };

export interface TokenClassificationPipeline
  extends PipelineObject<LlamaForTokenClassification>,
    Iterating<TokenizedText, TokenClassificationOptions, Entity[]> {
  (text: string, options?: TokenClassificationOptions): Promise<Entity[]>;
  /** Of words there is always a list of results. */
  (words: readonly TokenizedText[], options: WithWords): Promise<Entity[][]>;
  (texts: readonly string[], options?: TokenClassificationOptions): Promise<Entity[][]>;
}

const OPTIONS = [
  "ignore_labels",
  "aggregation_strategy",
  "grouped_entities",
  "ignore_subwords",
  "stride",
  "is_split_into_words",
  "delimiter",
  "offset_mapping",
];

/** A window of a text. */
interface Window {
  readonly text: string;
  readonly input_ids: readonly number[];
  readonly attention_mask: readonly number[];
  readonly special: readonly number[];
  readonly places: readonly Span[] | undefined;
}

/** @throws PronkError "bad_request" naming the option. */
export function tokenClassificationPipeline(
  parts: PipelineParts<LlamaForTokenClassification>,
  defaults: TokenClassificationOptions = {},
): TokenClassificationPipeline {
  const { task, model, tokenizer } = parts;
  checkOptions(task, defaults, OPTIONS);
  settle(defaults, tokenizer);

  const iterate = (
    inputs: Iterable<TokenizedText> | AsyncIterable<TokenizedText>,
    given: TokenClassificationOptions = {},
  ): AsyncGenerator<Entity[], void, undefined> => {
    checkOptions(task, given, OPTIONS);
    const options = { ...defaults, ...withoutUndefined(given) };
    const strategy = settle(options, tokenizer);
    const ignored = options.ignore_labels ?? ["O"];
    const rules = { strategy, id2label: model.config.id2label, tokenizer };
    return runStages(
      parts,
      inputs,
      {
        prepare: (input, index) => windowsOf(input, index, tokenizer, options),
        forward: async (windows): Promise<Tensor[]> => {
          const batch = batchOf(windows, tokenizer);
          const { logits } = await model.forward({ ...batch, use_cache: false });
          return windows.map(({ input_ids }, i) =>
            rowOf(logits, i, input_ids.length, tokenizer.padding_side),
          );
        },
        finish: (_, windows, logits) => {
          const found = windows
            .flatMap((window, i) => entitiesOf(scoresOf(window, logits[i]!, tokenizer), rules))
            .filter(({ entity, entity_group }) => {
              return !ignored.includes(entity ?? "") && !ignored.includes(entity_group ?? "");
            });
          return windows.length > 1 ? withoutOverlaps(found) : found;
        },
      },
      options,
    );
  };

  const call = async (
    inputs: string | readonly TokenizedText[],
    options: TokenClassificationOptions = {},
  ): Promise<Entity[] | Entity[][]> => {
    if (typeof inputs === "string") return (await collect(iterate([inputs], options)))[0]!;
    if (!Array.isArray(inputs) || inputs.length === 0) {
      const what = "At least one input is required.";
      throw new PronkError("bad_request", what, { param: "inputs" });
    }
    const isSplit = options.is_split_into_words ?? defaults.is_split_into_words ?? false;
    const areWords = isSplit && !inputs.every(Array.isArray);
    return collect(iterate(areWords ? [inputs as readonly string[]] : inputs, options));
  };
  return pipelineObject(parts, Object.assign(call, { iterate })) as TokenClassificationPipeline;
}

/** Checks the options against each other; the strategy that they ask for. */
function settle(
  options: TokenClassificationOptions,
  tokenizer: PreTrainedTokenizerBase,
): AggregationStrategy {
  const { aggregation_strategy, grouped_entities: grouped, ignore_subwords, stride } = options;
  const bad = (name: string, why: string): PronkError =>
    badOption("token-classification", name, why);
  let asked = aggregation_strategy?.toLowerCase();
  if ((grouped ?? ignore_subwords ?? undefined) !== undefined) {
    asked = grouped ? (ignore_subwords ? "first" : "simple") : "none";
  }
  const strategy = (asked ?? "none") as AggregationStrategy;
  if (!STRATEGIES.includes(strategy)) {
    throw bad("aggregation_strategy", `${strategy} is none of ${STRATEGIES.join(", ")}`);
  }
  if (!tokenizer.is_fast && strategy !== "none" && strategy !== "simple") {
    throw bad(
      "aggregation_strategy",
      'Slow tokenizers cannot handle subwords. Please set the `aggregation_strategy` option to `"simple"` or use a fast tokenizer.',
    );
  }
  if (stride === undefined || stride === null) return strategy;
  if (!Number.isInteger(stride) || stride < 0) throw bad("stride", `${stride} is not 0 or more`);
  if (stride >= tokenizer.model_max_length) {
    throw bad(
      "stride",
      "`stride` must be less than `tokenizer.model_max_length` (or even lower if the tokenizer adds special tokens)",
    );
  }
  if (asked === "none") {
    throw bad(
      "stride",
      '`stride` was provided to process all the text but `aggregation_strategy="none"`, please select another one instead.',
    );
  }
  if (!tokenizer.is_fast) {
    throw bad(
      "stride",
      "`stride` was provided to process all the text but you're using a slow tokenizer. Please use a fast tokenizer.",
    );
  }
  return strategy;
}

function windowsOf(
  input: TokenizedText,
  index: number,
  tokenizer: PreTrainedTokenizerBase,
  options: TokenClassificationOptions,
): Window[] {
  const { is_split_into_words: isSplit = false, delimiter, stride } = options;
  const bad = (why: string): PronkError => badOption("token-classification", "inputs", why);
  if (isSplit !== (typeof input !== "string")) {
    throw bad(
      isSplit
        ? "When `is_split_into_words=True`, `sentence` must be a list of tokens."
        : "When `is_split_into_words=False`, `sentence` must be an untokenized string.",
    );
  }
  if (isSplit && !tokenizer.is_fast) {
    throw bad("is_split_into_words=True is only supported with fast tokenizers.");
  }
  const between = delimiter ?? " ";
  const settings: CallOptions = {
    truncation: true,
    return_special_tokens_mask: true,
    return_attention_mask: true,
    return_offsets_mapping: tokenizer.is_fast,
    return_word_ids: isSplit,
    is_split_into_words: isSplit,
    ...(typeof stride === "number" && { return_overflowing_tokens: true, stride }),
  };
  const batch: EncodedBatch = tokenizer.call([input], settings);
  const text = typeof input === "string" ? input : input.join(between);
  const starts = typeof input === "string" ? undefined : wordStarts(input, between);
  return batch.input_ids.map((input_ids, row) => {
    const words = batch.word_ids?.[row];
    const places = batch.offset_mapping?.[row];
    return {
      text,
      input_ids,
      attention_mask: batch.attention_mask![row]!,
      special: batch.special_tokens_mask![row]!,
      places:
        givenPlaces(options.offset_mapping, index) ??
        places?.map(([start, end], token): Span => {
          const word = words?.[token] ?? undefined;
          const by = word === undefined ? 0 : (starts?.[word] ?? 0);
          return [start + by, end + by];
        }),
    };
  });
}

function wordStarts(words: readonly string[], between: string): number[] {
  let at = 0;
  return words.map((word) => {
    const start = at;
    at += word.length + between.length;
    return start;
  });
}

function givenPlaces(
  given: TokenClassificationOptions["offset_mapping"],
  index: number,
): readonly Span[] | undefined {
  if (given === undefined || given.length === 0) return undefined;
  const isOne = typeof given[0]![0] === "number";
  const places = isOne ? [given as readonly Span[]] : (given as readonly (readonly Span[])[]);
  if (places[index]) return places[index];
  throw badOption(
    "token-classification",
    "offset_mapping",
    "offset_mapping should have the same batch size as the input",
  );
}

function scoresOf(
  { text, input_ids, special, places }: Window,
  { dims, data }: Tensor,
  tokenizer: PreTrainedTokenizerBase,
): TokenScores[] {
  const labels = dims[1]!;
  return input_ids.flatMap((id, index): TokenScores[] => {
    if (special[index] === 1) return [];
    const scores = softmax(data.subarray(index * labels, (index + 1) * labels));
    let word = tokenizer.convertIdsToTokens(id);
    const place = places?.[index];
    if (!place) return [{ word, scores, start: null, end: null, index, is_subword: false }];
    const [start, end] = place;
    const isUnknown = id === tokenizer.unk_token_id;
    if (isUnknown) word = text.slice(start, end);
    const is_subword = !isUnknown && start > 0 && !text.slice(start - 1, start + 1).includes(" ");
    return [{ word, scores, start, end, index, is_subword }];
  });
}
