/**
 * Labels that are named in the call, by a model of natural language inference: each label becomes a hypothesis,
 * whose entailment by the text is its score.
 *
 * Source: pipelines/zero_shot_classification.py in transformers 4.57.
 */
import { PronkError } from "../../errors.ts";
import type { LlamaForSequenceClassification } from "../modeling/llama-for-sequence-classification.ts";
import type { EncodedRow } from "../tokenizer/batch-encoding.ts";
import { labelLogits } from "./model-rows.ts";
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

export interface ZeroShotOptions extends RunOptions {
  /** A list, or names between commas. */
  readonly candidate_labels?: string | readonly string[];
  /** With {} where the label goes. Default "This example is {}." */
  readonly hypothesis_template?: string;
  /** Several labels may hold: each is scored alone, against its contradiction. Default false. */
  readonly multi_label?: boolean;
  /** The older name of `multi_label`. */
  readonly multi_class?: boolean;
}

export interface ZeroShotResult {
  readonly sequence: string;
  /** The best first. */
  readonly labels: string[];
  readonly scores: number[];
}

export interface ZeroShotClassificationPipeline
  extends PipelineObject<LlamaForSequenceClassification>,
    Iterating<string, ZeroShotOptions, ZeroShotResult> {
  (sequence: string, options?: ZeroShotOptions): Promise<ZeroShotResult>;
  (sequences: readonly string[], options?: ZeroShotOptions): Promise<ZeroShotResult[]>;
  (
    sequence: string,
    candidate_labels: string | readonly string[],
    options?: ZeroShotOptions,
  ): Promise<ZeroShotResult>;
  (
    sequences: readonly string[],
    candidate_labels: string | readonly string[],
    options?: ZeroShotOptions,
  ): Promise<ZeroShotResult[]>;
}

const OPTIONS = ["candidate_labels", "hypothesis_template", "multi_label", "multi_class"];
const DEFAULT_TEMPLATE = "This example is {}.";
const NO_ENTAILMENT =
  "Failed to determine 'entailment' label id from the label2id mapping in the model config. Setting to -1. Define a descriptive label2id mapping in the model config to ensure correct outputs.";

/** Without a label that begins with "entail" the last one counts, which `notes` says. */
export function zeroShotClassificationPipeline(
  parts: PipelineParts<LlamaForSequenceClassification>,
  defaults: ZeroShotOptions = {},
): ZeroShotClassificationPipeline {
  const { task, model, tokenizer } = parts;
  checkOptions(task, defaults, OPTIONS);

  const iterate = (
    sequences: Iterable<string> | AsyncIterable<string>,
    given: ZeroShotOptions = {},
  ): AsyncGenerator<ZeroShotResult, void, undefined> => {
    checkOptions(task, given, OPTIONS);
    const options = { ...defaults, ...withoutUndefined(given) };
    const labels = labelList(options.candidate_labels);
    const template = options.hypothesis_template ?? DEFAULT_TEMPLATE;
    const isMulti = options.multi_class ?? options.multi_label ?? false;
    return runStages(
      parts,
      sequences,
      {
        prepare: (sequence): EncodedRow[] => {
          if (typeof sequence !== "string") throw badOption(task, "sequences", "not a text");
          checkLabels(sequence, labels, template);
          return labels.map((label) => encodePair(parts, sequence, format(template, label)));
        },
        forward: (rows) => labelLogits(model, tokenizer, rows),
        finish: (sequence, _, raws) => {
          const scores = scoresOf(raws, entailmentId(model), isMulti);
          const order = labels.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]! || b - a);
          return {
            sequence,
            labels: order.map((i) => labels[i]!),
            scores: order.map((i) => scores[i]!),
          };
        },
      },
      options,
    );
  };

  const call = async (
    sequences: string | readonly string[],
    labels?: string | readonly string[] | ZeroShotOptions,
    more?: ZeroShotOptions,
  ): Promise<ZeroShotResult | ZeroShotResult[]> => {
    const isLabels = typeof labels === "string" || Array.isArray(labels);
    if (isLabels && more?.candidate_labels !== undefined) {
      throw badOption(task, "candidate_labels", "they are given twice");
    }
    const options = isLabels
      ? { ...more, candidate_labels: labels as string | readonly string[] }
      : (labels as ZeroShotOptions | undefined);
    const isList = typeof sequences !== "string";
    const outputs = await collect(iterate(isList ? sequences : [sequences], options));
    return isList ? outputs : outputs[0]!;
  };
  return pipelineObject(
    parts,
    Object.assign(call, { iterate }),
    entailmentId(model) < 0 ? [NO_ENTAILMENT] : [],
  ) as ZeroShotClassificationPipeline;
}

function entailmentId({ config }: LlamaForSequenceClassification): number {
  const found = Object.entries(config.label2id).find(([label]) => /^entail/i.test(label));
  return found ? found[1] : -1;
}

function labelList(given: ZeroShotOptions["candidate_labels"]): readonly string[] {
  if (given === undefined) {
    throw badOption("zero-shot-classification", "candidate_labels", "there are none");
  }
  if (typeof given !== "string") return given;
  return given
    .split(",")
    .map((label) => label.trim())
    .filter((label) => label !== "");
}

function checkLabels(sequence: string, labels: readonly string[], template: string): void {
  if (labels.length === 0 || sequence.length === 0) {
    throw new PronkError(
      "bad_request",
      "You must include at least one label and at least one sequence.",
      { param: labels.length === 0 ? "candidate_labels" : "sequences" },
    );
  }
  if (format(template, labels[0]!) !== template) return;
  throw new PronkError(
    "bad_request",
    `The provided hypothesis_template "${template}" was not able to be formatted with the target labels. Make sure the passed template includes formatting syntax such as {} where the label should go.`,
    { param: "hypothesis_template" },
  );
}

/** Python's str.format with one argument. */
function format(template: string, label: string): string {
  return template.replace(/\{\{|\}\}|\{0?\}/g, (found) => {
    if (found === "{{") return "{";
    return found === "}}" ? "}" : label;
  });
}

/** Only the sequence is cut where both are too long; where it is too short for that, neither. */
function encodePair(
  { tokenizer }: PipelineParts<unknown>,
  sequence: string,
  hypothesis: string,
): EncodedRow {
  const pair = { text_pair: hypothesis };
  try {
    return tokenizer.call(sequence, { ...pair, truncation: "only_first" });
  } catch (error) {
    if (!(error instanceof PronkError) || error.param !== "max_length") throw error;
    return tokenizer.call(sequence, { ...pair, truncation: "do_not_truncate" });
  }
}

function scoresOf(logits: readonly Float32Array[], entailment: number, isMulti: boolean): number[] {
  // Negative ids count from the end, as in Python.
  const at = (row: Float32Array, id: number): number => row.at(id)!;
  if (!isMulti && logits.length > 1) return softmax(logits.map((row) => at(row, entailment)));
  const contradiction = entailment === 0 ? -1 : 0;
  return logits.map((row) => softmax([at(row, contradiction), at(row, entailment)])[1]!);
}
