import { PronkError } from "../../errors.ts";
import { integerLists } from "../integer-lists.ts";
import type { LlamaConfig } from "../llama-config.ts";
import type { OfOneCall } from "../pipelines/pipeline-object.ts";
import {
  type LabelScore,
  type TextClassificationOptions,
  textClassificationPipeline,
} from "../pipelines/text-classification.ts";
import { type ForwardInputs, rowsOf } from "./forward-inputs.ts";
import { binaryCrossEntropy, crossEntropy, meanSquaredError } from "./losses.ts";
import { PreTrainedModel } from "./pretrained-model.ts";
import {
  allColumns,
  type CommonOutput,
  type ModelParts,
  type RandomOptions,
} from "./runnable-model.ts";
import type { Tensor } from "./tensor.ts";

export interface SequenceClassificationInputs extends ForwardInputs {
  /** A class or, of regression, a number per row; rows of several of either: (batch, labels). */
  readonly labels?: readonly number[] | readonly (readonly number[])[];
}

export interface SequenceClassifierOutputWithPast extends CommonOutput {
  readonly loss?: number;
  /** (batch, labels) */
  readonly logits: Tensor;
}

type ProblemType = "regression" | "single_label_classification" | "multi_label_classification";

/** A Llama that scores labels from the last token that is no padding. */
export class LlamaForSequenceClassification extends PreTrainedModel {
  constructor(source: ModelParts | LlamaConfig, options?: RandomOptions) {
    super(source, "sequence-classification", options);
  }

  /**
   * Padding is told by config.pad_token_id, in input_ids; without it or with inputs_embeds the last column is
   * taken.
   *
   * @throws PronkError "bad_request" also for several rows of ids where no padding token is defined.
   */
  async forward(inputs: SequenceClassificationInputs): Promise<SequenceClassifierOutputWithPast> {
    const { labels } = inputs;
    const input_ids = integerLists(inputs.input_ids, "input_ids");
    const pad = this.config.pad_token_id;
    const hasPad = pad !== null;
    if ((input_ids?.length ?? inputs.inputs_embeds?.dims[0] ?? 1) > 1 && !hasPad) {
      throw new PronkError(
        "bad_request",
        "Cannot handle batch sizes > 1 if no padding token is defined.",
        { param: "input_ids" },
      );
    }
    const { output, common } = await this.run(inputs, allColumns, "none");
    const [batch, length, classes] = output.logits.dims;
    const pooled = Array.from({ length: batch }, (_, b) => {
      if (!input_ids || !hasPad) return b * length + length - 1;
      const last = input_ids[b].findLastIndex((id) => id !== pad);
      return b * length + Math.max(0, last);
    });
    const data = rowsOf(output.logits.data, pooled, 0, classes);
    const logits = { dims: [batch, classes], data };
    return { ...(labels && { loss: this.#loss(data, classes, labels) }), logits, ...common };
  }

  /** What the text-classification pipeline gives for a text: the best label, or `top_k`. */
  classify(text: string, options: OfOneCall<TextClassificationOptions>): Promise<LabelScore[]> {
    const { tokenizer, ...rest } = options;
    const task = "text-classification";
    return textClassificationPipeline({ task, model: this, tokenizer })(text, rest);
  }

  #loss(
    scores: Float32Array,
    classes: number,
    labels: NonNullable<SequenceClassificationInputs["labels"]>,
  ): number {
    const flat = (labels as (number | readonly number[])[]).flat() as number[];
    const isRows = Array.isArray(labels[0]);
    const wrong = (why: string): PronkError =>
      new PronkError("bad_request", `labels: ${why}`, { param: "labels" });
    const problem = (this.config.extra.problem_type ??
      problemOf(classes, flat, isRows)) as ProblemType;
    const expected =
      problem === "single_label_classification" ? scores.length / classes : scores.length;
    if (flat.length !== expected) throw wrong(`${flat.length} numbers, not ${expected}`);
    if (problem === "regression") return meanSquaredError(scores, flat);
    if (problem === "multi_label_classification") return binaryCrossEntropy(scores, flat);
    const bad = flat.find(
      (label) => !(Number.isInteger(label) && label >= -100 && label < classes),
    );
    if (bad !== undefined) throw wrong(`${bad} is none of ${classes} classes`);
    return crossEntropy({ scores, classes, labels: flat });
  }
}

/** As transformers tells them apart: by the labels' count and type. */
function problemOf(classes: number, labels: readonly number[], isRows: boolean): ProblemType {
  if (classes === 1) return "regression";
  return !isRows && labels.every(Number.isInteger)
    ? "single_label_classification"
    : "multi_label_classification";
}
