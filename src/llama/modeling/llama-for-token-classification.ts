import { PronkError } from "../../errors.ts";
import type { LlamaConfig } from "../llama-config.ts";
import type { Entity } from "../pipelines/entities.ts";
import type { OfOneCall } from "../pipelines/pipeline-object.ts";
import {
  type TokenClassificationOptions,
  tokenClassificationPipeline,
} from "../pipelines/token-classification.ts";
import { type ForwardInputs, IGNORED_LABEL } from "./forward-inputs.ts";
import { crossEntropy } from "./losses.ts";
import { PreTrainedModel } from "./pretrained-model.ts";
import {
  allColumns,
  type CommonOutput,
  type ModelParts,
  type RandomOptions,
} from "./runnable-model.ts";
import { integerRows, type Tensor } from "./tensor.ts";

export interface TokenClassificationInputs extends ForwardInputs {
  /** (batch, length) classes, -100 where none counts. */
  readonly labels?: readonly (readonly number[])[];
}

export interface TokenClassifierOutput extends CommonOutput {
  readonly loss?: number;
  /** (batch, length, labels) */
  readonly logits: Tensor;
}

/** A Llama that scores labels for each token. */
export class LlamaForTokenClassification extends PreTrainedModel {
  constructor(source: ModelParts | LlamaConfig, options?: RandomOptions) {
    super(source, "token-classification", options);
  }

  /** What the token-classification pipeline gives for a text. */
  tagTokens(text: string, options: OfOneCall<TokenClassificationOptions>): Promise<Entity[]> {
    const { tokenizer, ...rest } = options;
    const task = "token-classification";
    return tokenClassificationPipeline({ task, model: this, tokenizer })(text, rest);
  }

  /** @throws PronkError "bad_request", "unsupported". */
  async forward(inputs: TokenClassificationInputs): Promise<TokenClassifierOutput> {
    const { output, common } = await this.run(inputs, allColumns, "none");
    const { logits } = output;
    const { labels } = inputs;
    if (!labels) return { logits, ...common };
    const [batch, length, classes] = logits.dims;
    const flat = integerRows(labels, "labels", batch, length).flat();
    const bad = flat.find((label) => label !== IGNORED_LABEL && !(label >= 0 && label < classes));
    if (bad !== undefined) {
      throw new PronkError("bad_request", `labels: ${bad} is none of ${classes} classes`, {
        param: "labels",
      });
    }
    return {
      loss: crossEntropy({ scores: logits.data, classes, labels: flat }),
      logits,
      ...common,
    };
  }
}
