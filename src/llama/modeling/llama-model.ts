import type { LlamaConfig } from "../llama-config.ts";
import type { ForwardInputs } from "./forward-inputs.ts";
import { PreTrainedModel } from "./pretrained-model.ts";
import type { CommonOutput, ModelParts, RandomOptions } from "./runnable-model.ts";
import type { Tensor } from "./tensor.ts";

export interface BaseModelOutputWithPast extends CommonOutput {
  /** (batch, length, hidden_size), normalised. */
  readonly last_hidden_state: Tensor;
}

/** The bare Llama: states instead of scores. */
export class LlamaModel extends PreTrainedModel {
  constructor(source: ModelParts | LlamaConfig, options?: RandomOptions) {
    super(source, "none", options);
  }

  /** @throws PronkError "bad_request", "unsupported". */
  async forward(inputs: ForwardInputs): Promise<BaseModelOutputWithPast> {
    const { output, common } = await this.run(inputs, () => [], "last");
    return { last_hidden_state: output.hidden_states?.at(-1) as Tensor, ...common };
  }
}
