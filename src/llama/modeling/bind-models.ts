/** The model classes of an entry: with `fromPretrained`, which needs the runtime's files and kernels. */
import type { ModelInput } from "../../engine/opened-model.ts";
import type { HeadKind } from "./heads.ts";
import { LlamaForCausalLM } from "./llama-for-causal-lm.ts";
import { LlamaForQuestionAnswering } from "./llama-for-question-answering.ts";
import { LlamaForSequenceClassification } from "./llama-for-sequence-classification.ts";
import { LlamaForTokenClassification } from "./llama-for-token-classification.ts";
import { LlamaModel } from "./llama-model.ts";
import type { PretrainedOptions } from "./load-parts.ts";
import type { ModelParts } from "./pretrained-model.ts";

/** Where a model comes from, and its parts. */
export type LoadPretrained = (
  source: string | ModelInput,
  head: HeadKind,
  options: PretrainedOptions,
) => Promise<ModelParts>;

export interface ModelClass<Model> {
  new (parts: ModelParts): Model;
  /**
   * Loads a model: a name, a path, an https:// URL, or opened files.
   *
   * @throws PronkError "not_found", "bad_format", "unsupported", "source_failed", "out_of_memory".
   */
  fromPretrained(source: string | ModelInput, options?: PretrainedOptions): Promise<Model>;
}

export interface LlamaClasses {
  readonly LlamaModel: ModelClass<LlamaModel>;
  readonly LlamaForCausalLM: ModelClass<LlamaForCausalLM>;
  readonly LlamaForSequenceClassification: ModelClass<LlamaForSequenceClassification>;
  readonly LlamaForTokenClassification: ModelClass<LlamaForTokenClassification>;
  readonly LlamaForQuestionAnswering: ModelClass<LlamaForQuestionAnswering>;
}

export function bindModels(load: LoadPretrained): LlamaClasses {
  const bind = <Model>(Base: new (parts: ModelParts) => Model, head: HeadKind): ModelClass<Model> =>
    Object.assign(Base, {
      fromPretrained: async (
        source: string | ModelInput,
        options: PretrainedOptions = {},
      ): Promise<Model> => new Base(await load(source, head, options)),
    });
  return {
    LlamaModel: bind(class extends LlamaModel {}, "none"),
    LlamaForCausalLM: bind(class extends LlamaForCausalLM {}, "causal-lm"),
    LlamaForSequenceClassification: bind(
      class extends LlamaForSequenceClassification {},
      "sequence-classification",
    ),
    LlamaForTokenClassification: bind(
      class extends LlamaForTokenClassification {},
      "token-classification",
    ),
    LlamaForQuestionAnswering: bind(
      class extends LlamaForQuestionAnswering {},
      "question-answering",
    ),
  };
}
