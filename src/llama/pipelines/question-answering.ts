/**
 * Answers that are parts of a context.
 *
 * Source: pipelines/question_answering.py in transformers 4.57. One line of it is not followed: with padding on
 * the left, which Llama 2's tokenizers have, its mask lets tokens of the question be answers, too.
 */
import { PronkError } from "../../errors.ts";
import type { LlamaForQuestionAnswering } from "../modeling/llama-for-question-answering.ts";
import type { CallOptions, EncodedBatch, PaddingStrategy } from "../tokenizer/batch-encoding.ts";
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";
import { answerSpans } from "./answer-spans.ts";
import { batchOf } from "./model-rows.ts";
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

export interface QuestionAnsweringOptions extends RunOptions {
  /** Answers at most. Default 1. */
  readonly top_k?: number | null;
  /** The older name of `top_k`. */
  readonly topk?: number | null;
  /** Tokens that windows of a long context share. Default 128, at most half of max_seq_len. */
  readonly doc_stride?: number | null;
  /** Tokens of an answer at most. Default 15. */
  readonly max_answer_len?: number | null;
  /** Tokens of a window, the question included. Default 384, at most the tokenizer's model_max_length. */
  readonly max_seq_len?: number | null;
  /** Tokens of the question, the rest is cut off. Default: all of it, as with the fast tokenizers there. */
  readonly max_question_len?: number | null;
  /** No answer is one, too: the empty text. Default false. */
  readonly handle_impossible_answer?: boolean | null;
  /** Answers are whole words of the tokenizer's. Default true. */
  readonly align_to_words?: boolean | null;
  readonly padding?: PaddingStrategy | null;
}

export interface QuestionInput {
  readonly question: string;
  readonly context: string;
}

/** Several questions of one context or of one each. */
export interface QuestionLists {
  readonly question: readonly string[];
  readonly context: string | readonly string[];
}

export interface Answer {
  readonly score: number;
  /** UTF-16 units of the context. */
  readonly start: number;
  readonly end: number;
  readonly answer: string;
}

/** One answer by itself, several, or none, as a list. */
export type Answers = Answer | Answer[];

export interface QuestionAnsweringPipeline
  extends PipelineObject<LlamaForQuestionAnswering>,
    Iterating<QuestionInput, QuestionAnsweringOptions, Answers> {
  (input: QuestionInput, options?: QuestionAnsweringOptions): Promise<Answers>;
  (question: string, context: string, options?: QuestionAnsweringOptions): Promise<Answers>;
  /** A list of one question gives its answers, as in transformers. */
  (
    inputs: readonly QuestionInput[] | QuestionLists,
    options?: QuestionAnsweringOptions,
  ): Promise<Answers | Answers[]>;
}

const OPTIONS = [
  "top_k",
  "topk",
  "doc_stride",
  "max_answer_len",
  "max_seq_len",
  "max_question_len",
  "handle_impossible_answer",
  "align_to_words",
  "padding",
];
const DEFAULT_WINDOW = 384;
const DEFAULT_STRIDE = 128;
const DEFAULT_ANSWER = 15;

/** A part of the context with the question. */
interface Window {
  readonly input_ids: readonly number[];
  readonly attention_mask: readonly number[];
  readonly offsets: readonly (readonly [number, number])[];
  readonly words: readonly (number | null)[];
  /** Tokens of the context: 1. */
  readonly allowed: readonly number[];
}

interface WindowLogits {
  readonly starts: Float32Array;
  readonly ends: Float32Array;
}

/** @throws PronkError "unsupported" for a tokenizer without places; "bad_request" naming the option. */
export function questionAnsweringPipeline(
  parts: PipelineParts<LlamaForQuestionAnswering>,
  defaults: QuestionAnsweringOptions = {},
): QuestionAnsweringPipeline {
  const { task, model, tokenizer } = parts;
  checkOptions(task, defaults, OPTIONS);
  if (!tokenizer.is_fast) {
    const why = `${task}: LlamaTokenizer knows no places in the text; use LlamaTokenizerFast`;
    throw new PronkError("unsupported", why, { param: "tokenizer" });
  }
  checkCounts(defaults);

  const iterate = (
    inputs: Iterable<QuestionInput> | AsyncIterable<QuestionInput>,
    given: QuestionAnsweringOptions = {},
  ): AsyncGenerator<Answers, void, undefined> => {
    checkOptions(task, given, OPTIONS);
    checkCounts(given);
    const options = { ...defaults, ...withoutUndefined(given) };
    return runStages(
      parts,
      inputs,
      {
        prepare: (input) => windowsOf(checkedInput(input), tokenizer, options),
        forward: async (windows): Promise<WindowLogits[]> => {
          const batch = batchOf(windows, tokenizer);
          const output = await model.forward({ ...batch, use_cache: false });
          const length = batch.input_ids[0]!.length;
          return windows.map(({ input_ids }, i) => {
            const first =
              i * length + (tokenizer.padding_side === "left" ? length - input_ids.length : 0);
            const part = ({ data }: { readonly data: Float32Array }): Float32Array =>
              data.slice(first, first + input_ids.length);
            return { starts: part(output.start_logits), ends: part(output.end_logits) };
          });
        },
        finish: ({ context }, windows, logits) => answersOf(context, windows, logits, options),
      },
      options,
    );
  };

  const call = async (
    input: string | QuestionInput | QuestionLists | readonly QuestionInput[],
    context?: string | QuestionAnsweringOptions,
    more?: QuestionAnsweringOptions,
  ): Promise<Answers | Answers[]> => {
    const isTwo = typeof input === "string";
    const inputs = isTwo
      ? [{ question: input, context: context as string }]
      : Array.isArray(input)
        ? (input as readonly QuestionInput[])
        : inputsOf(input as QuestionInput | QuestionLists);
    const options = isTwo ? more : (context as QuestionAnsweringOptions | undefined);
    const outputs = await collect(iterate(inputs, options));
    return outputs.length === 1 ? outputs[0]! : outputs;
  };
  return pipelineObject(parts, Object.assign(call, { iterate })) as QuestionAnsweringPipeline;
}

function inputsOf(input: QuestionInput | QuestionLists): readonly QuestionInput[] {
  const { question, context } = input ?? {};
  if (!Array.isArray(question)) return [input as QuestionInput];
  if (Array.isArray(context) && context.length !== question.length) {
    const why = "Questions and contexts don't have the same lengths";
    throw badOption("question-answering", "context", why);
  }
  return question.map((one: string, i: number) => ({
    question: one,
    context: Array.isArray(context) ? context[i] : context,
  }));
}

function checkedInput(input: QuestionInput): QuestionInput {
  for (const name of ["question", "context"] as const) {
    const value: unknown = (input as QuestionInput | null)?.[name];
    if (typeof value === "string" && value !== "") continue;
    const why = value === "" ? `\`${name}\` cannot be empty` : "it is not a text";
    throw badOption("question-answering", name, why);
  }
  return input;
}

function checkCounts(options: QuestionAnsweringOptions): void {
  for (const name of ["top_k", "topk", "max_answer_len", "max_question_len"] as const) {
    const value = options[name];
    if (value === undefined || value === null) continue;
    if (Number.isInteger(value) && value >= 1) continue;
    const why = `${name} parameter should be >= 1 (got ${value})`;
    throw badOption("question-answering", name, why);
  }
}

function windowsOf(
  { question, context }: QuestionInput,
  tokenizer: PreTrainedTokenizerBase,
  options: QuestionAnsweringOptions,
): Window[] {
  const longest = options.max_seq_len ?? Math.min(tokenizer.model_max_length, DEFAULT_WINDOW);
  const stride = options.doc_stride ?? Math.min(Math.floor(longest / 2), DEFAULT_STRIDE);
  if (stride > longest) {
    const why = `\`doc_stride\` (${stride}) is larger than \`max_seq_len\` (${longest})`;
    throw badOption("question-answering", "doc_stride", why);
  }
  const isQuestionFirst = tokenizer.padding_side === "right";
  const asked = cutQuestion(question, tokenizer, options.max_question_len ?? undefined);
  const settings: CallOptions = {
    padding: options.padding ?? "do_not_pad",
    truncation: isQuestionFirst ? "only_second" : "only_first",
    max_length: longest,
    stride,
    text_pair: [isQuestionFirst ? context : asked],
    return_overflowing_tokens: true,
    return_attention_mask: true,
    return_offsets_mapping: true,
    return_sequence_ids: true,
    return_word_ids: true,
  };
  const batch: EncodedBatch = tokenizer.call([isQuestionFirst ? asked : context], settings);
  const contextIndex = isQuestionFirst ? 1 : 0;
  return batch.input_ids.map((input_ids, row) => ({
    input_ids,
    attention_mask: batch.attention_mask![row]!,
    offsets: batch.offset_mapping![row]!,
    words: batch.word_ids![row]!,
    allowed: input_ids.map((id, token) => {
      // Some models say with it that there is no answer.
      const isClass = id === classId(tokenizer);
      return isClass || batch.sequence_ids![row]![token] === contextIndex ? 1 : 0;
    }),
  }));
}

function classId(tokenizer: PreTrainedTokenizerBase): number | undefined {
  const { cls_token } = tokenizer.special_tokens_map;
  return typeof cls_token === "string" ? tokenizer.convertTokensToIds(cls_token) : undefined;
}

function cutQuestion(
  question: string,
  tokenizer: PreTrainedTokenizerBase,
  most: number | undefined,
): string {
  if (most === undefined) return question;
  const { offset_mapping: offsets = [] } = tokenizer.call(question, {
    add_special_tokens: false,
    truncation: true,
    max_length: most,
    return_offsets_mapping: true,
  });
  return question.slice(0, offsets.at(-1)?.[1] ?? 0);
}

function answersOf(
  context: string,
  windows: readonly Window[],
  logits: readonly WindowLogits[],
  options: QuestionAnsweringOptions,
): Answers {
  const count = options.top_k ?? options.topk ?? 1;
  const aligns = options.align_to_words ?? true;
  const answers: { score: number; start: number; end: number; answer: string }[] = [];
  let least = Number.POSITIVE_INFINITY;
  windows.forEach((window, i) => {
    const { spans, nullScore } = answerSpans(logits[i]!.starts, logits[i]!.ends, {
      allowed: window.allowed,
      // Aligned to words, several may become one.
      count: aligns ? count * 2 + 10 : count,
      maxTokens: options.max_answer_len ?? DEFAULT_ANSWER,
    });
    least = Math.min(least, nullScore);
    for (const { start, end, score } of spans) {
      const from = aligns ? wordOf(window, start)[0] : window.offsets[start]![0];
      const to = aligns ? wordOf(window, end)[1] : window.offsets[end]![1];
      const answer = context.slice(from, to);
      const same = answers.find((one) => one.answer.toLowerCase() === answer.toLowerCase());
      if (same) same.score += score;
      else answers.push({ score, start: from, end: to, answer });
    }
  });
  if (options.handle_impossible_answer) {
    answers.push({ score: least, start: 0, end: 0, answer: "" });
  }
  const best = answers.sort((a, b) => b.score - a.score).slice(0, count);
  return best.length === 1 ? best[0]! : best;
}

/** Where the word of a token begins and ends, as far as it is in the window; of what has none, its own place. */
function wordOf({ words, offsets, allowed }: Window, token: number): readonly [number, number] {
  const word = words[token];
  if (word === null || word === undefined) return offsets[token]!;
  const isIt = (other: number | null, i: number): boolean => other === word && allowed[i] === 1;
  const first = words.findIndex(isIt);
  const last = words.findLastIndex(isIt);
  return [offsets[first]![0], offsets[last]![1]];
}
