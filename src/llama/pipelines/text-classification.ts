/**
 * Labels of texts.
 *
 * Source: pipelines/text_classification.py in transformers 4.57, which decides what a call gives: a list for a
 * single text, one label a text, lists of labels with `top_k`.
 */
import { PronkError } from "../../errors.ts";
import type { LlamaForSequenceClassification } from "../modeling/llama-for-sequence-classification.ts";
import type { EncodedRow } from "../tokenizer/batch-encoding.ts";
import {
  labelLogits,
  TOKENIZER_KWARGS,
  type TokenizerKwargs,
  tokenizerKwargs,
} from "./model-rows.ts";
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
import { argMax, sigmoid, softmax } from "./scores.ts";

export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

export interface TextPair {
  readonly text: string;
  readonly text_pair?: string;
}

/** The last form is an older one for a pair. */
export type ClassifiedText = string | TextPair | readonly [readonly [string, string]];

export interface TextClassificationOptions extends TokenizerKwargs, RunOptions {
  /** So many labels, the best first; null: all. Default: the best one alone, not in a list of its own. */
  readonly top_k?: number | null;
  /**
   * Default: "none" of regression; "sigmoid" with one label, or several that may hold together; else "softmax".
   */
  readonly function_to_apply?: "default" | "sigmoid" | "softmax" | "none" | (string & {});
  /** The older name of `top_k: null` (in the labels' order) and `top_k: 1`. */
  readonly return_all_scores?: boolean | null;
}

type WithTopK = TextClassificationOptions & { readonly top_k: number | null };

export interface TextClassificationPipeline
  extends PipelineObject<LlamaForSequenceClassification>,
    Iterating<ClassifiedText, TextClassificationOptions, LabelScore | LabelScore[]> {
  (text: string, options?: TextClassificationOptions): Promise<LabelScore[]>;
  (pair: TextPair, options: WithTopK): Promise<LabelScore[]>;
  (pair: TextPair, options?: TextClassificationOptions): Promise<LabelScore>;
  (texts: readonly ClassifiedText[], options: WithTopK): Promise<LabelScore[][]>;
  (texts: readonly ClassifiedText[], options?: TextClassificationOptions): Promise<LabelScore[]>;
}

const OPTIONS = [...TOKENIZER_KWARGS, "top_k", "function_to_apply", "return_all_scores"];

const FUNCTIONS = {
  sigmoid,
  softmax,
  none: (logits: ArrayLike<number>): number[] => Array.from(logits),
} as const;

/** @throws PronkError "bad_request" naming the option. */
export function textClassificationPipeline(
  parts: PipelineParts<LlamaForSequenceClassification>,
  defaults: TextClassificationOptions = {},
): TextClassificationPipeline {
  const { task, model, tokenizer } = parts;
  checkOptions(task, defaults, OPTIONS);

  const iterate = (
    inputs: Iterable<ClassifiedText> | AsyncIterable<ClassifiedText>,
    given: TextClassificationOptions = {},
  ): AsyncGenerator<LabelScore | LabelScore[], void, undefined> => {
    checkOptions(task, given, OPTIONS);
    const options = { ...defaults, ...withoutUndefined(given) };
    const apply = functionOf(model, options.function_to_apply);
    const encode = tokenizerKwargs(options);
    return runStages(
      parts,
      inputs,
      {
        prepare: (input): EncodedRow[] => [encodeInput(parts, input, encode)],
        forward: (rows) => labelLogits(model, tokenizer, rows),
        finish: (_, __, [logits]) => labelsOf(model, apply(logits!), options),
      },
      options,
    );
  };

  const call = async (
    inputs: ClassifiedText | readonly ClassifiedText[],
    given: TextClassificationOptions = {},
  ): Promise<unknown> => {
    const isList = Array.isArray(inputs);
    const items = (isList ? inputs : [inputs]) as readonly ClassifiedText[];
    const outputs = await collect(iterate(items, given));
    // As there: a text alone is in a list, whatever its own result is, unless the call names top_k.
    if (isList || (typeof inputs === "string" && given.top_k === undefined)) return outputs;
    return outputs[0];
  };
  return pipelineObject(parts, Object.assign(call, { iterate })) as TextClassificationPipeline;
}

function encodeInput(
  { task, tokenizer }: PipelineParts<unknown>,
  input: ClassifiedText,
  options: TokenizerKwargs,
): EncodedRow {
  if (typeof input === "string") return tokenizer.call(input, options);
  if (Array.isArray(input)) {
    const [pair] = input as readonly [readonly [string, string]];
    if (input.length === 1 && Array.isArray(pair) && pair.length === 2) {
      return tokenizer.call(pair[0], { ...options, text_pair: pair[1] });
    }
    throw new PronkError(
      "bad_request",
      'The pipeline received invalid inputs, if you are trying to send text pairs, you can try to send a dictionary `{"text": "My text", "text_pair": "My pair"}` in order to send a text pair.',
      { param: "inputs" },
    );
  }
  const { text, text_pair } = (input ?? {}) as TextPair;
  if (typeof text !== "string") throw badOption(task, "inputs", "neither a text nor { text }");
  return tokenizer.call(text, { ...options, ...(text_pair !== undefined && { text_pair }) });
}

function functionOf(
  { config }: LlamaForSequenceClassification,
  asked: string | undefined,
): (logits: ArrayLike<number>) => number[] {
  const name = asked?.toLowerCase() ?? "default";
  if (name !== "default") {
    if (Object.hasOwn(FUNCTIONS, name)) return FUNCTIONS[name as keyof typeof FUNCTIONS];
    const known = ["default", ...Object.keys(FUNCTIONS)].join(", ");
    throw badOption("text-classification", "function_to_apply", `${asked} is none of ${known}`);
  }
  const problem = config.extra.problem_type;
  if (problem === "regression") return FUNCTIONS.none;
  const isMulti = problem === "multi_label_classification" || config.num_labels === 1;
  return isMulti ? sigmoid : softmax;
}

function labelsOf(
  { config }: LlamaForSequenceClassification,
  scores: readonly number[],
  { top_k, return_all_scores }: TextClassificationOptions,
): LabelScore | LabelScore[] {
  const label = (id: number): LabelScore => ({
    label: config.id2label[id] ?? `LABEL_${id}`,
    score: scores[id]!,
  });
  if (top_k === undefined) {
    return return_all_scores ? scores.map((_, id) => label(id)) : label(argMax(scores));
  }
  if (top_k !== null && !Number.isInteger(top_k)) {
    throw badOption("text-classification", "top_k", `${top_k} is no integer`);
  }
  const sorted = scores.map((_, id) => label(id)).sort((a, b) => b.score - a.score);
  return top_k === null ? sorted : sorted.slice(0, top_k);
}
