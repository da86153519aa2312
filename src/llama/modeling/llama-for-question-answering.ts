import { PronkError } from "../../errors.ts";
import type { LlamaConfig } from "../llama-config.ts";
import type { OfOneCall } from "../pipelines/pipeline-object.ts";
import {
  type Answers,
  type QuestionAnsweringOptions,
  questionAnsweringPipeline,
} from "../pipelines/question-answering.ts";
import type { ForwardInputs } from "./forward-inputs.ts";
import { crossEntropy } from "./losses.ts";
import { PreTrainedModel } from "./pretrained-model.ts";
import {
  allColumns,
  type CommonOutput,
  type ModelParts,
  type RandomOptions,
} from "./runnable-model.ts";
import type { Tensor } from "./tensor.ts";

export interface QuestionAnsweringInputs extends ForwardInputs {
  /** (batch,) columns of the answer's first and last token; those beyond the input do not count. */
  readonly start_positions?: readonly number[];
  readonly end_positions?: readonly number[];
}

export interface QuestionAnsweringModelOutput extends CommonOutput {
  /** The mean of the start's and the end's. */
  readonly loss?: number;
  /** (batch, length) each. */
  readonly start_logits: Tensor;
  readonly end_logits: Tensor;
}

/** A Llama that scores each token as the start and as the end of an answer. */
export class LlamaForQuestionAnswering extends PreTrainedModel {
  constructor(source: ModelParts | LlamaConfig, options?: RandomOptions) {
    super(source, "question-answering", options);
  }

  /** What the question-answering pipeline gives: an answer, or a list of `top_k`. */
  answer(
    question: string,
    context: string,
    options: OfOneCall<QuestionAnsweringOptions>,
  ): Promise<Answers> {
    const { tokenizer, ...rest } = options;
    const task = "question-answering";
    return questionAnsweringPipeline({ task, model: this, tokenizer })(question, context, rest);
  }

  /** @throws PronkError "bad_request", "unsupported". */
  async forward(inputs: QuestionAnsweringInputs): Promise<QuestionAnsweringModelOutput> {
    const { output, common } = await this.run(inputs, allColumns, "none");
    const [batch, length] = output.logits.dims;
    const column = (end: number): Tensor => ({
      dims: [batch, length],
      data: output.logits.data.filter((_, i) => i % 2 === end),
    });
    const [start_logits, end_logits] = [column(0), column(1)];
    const { start_positions: starts, end_positions: ends } = inputs;
    if (!starts || !ends) return { start_logits, end_logits, ...common };
    const loss = (name: string, { data }: Tensor, positions: readonly number[]): number => {
      if (positions.length !== batch || !positions.every(Number.isInteger)) {
        throw new PronkError("bad_request", `${name}: not ${batch} integers`, { param: name });
      }
      const labels = positions.map((position) => Math.min(Math.max(position, 0), length));
      return crossEntropy({ scores: data, classes: length, labels, ignored: length });
    };
    const both =
      loss("start_positions", start_logits, starts) + loss("end_positions", end_logits, ends);
    return { loss: both / 2, start_logits, end_logits, ...common };
  }
}
