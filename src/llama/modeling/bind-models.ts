/** The model classes of an entry: with `fromPretrained`, which needs the runtime's files and kernels. */
import type { LlamaConfig } from "../llama-config.ts";
import type { HeadKind } from "./heads.ts";
import { LlamaForCausalLM } from "./llama-for-causal-lm.ts";
import { LlamaForQuestionAnswering } from "./llama-for-question-answering.ts";
import { LlamaForSequenceClassification } from "./llama-for-sequence-classification.ts";
import { LlamaForTokenClassification } from "./llama-for-token-classification.ts";
import { LlamaModel } from "./llama-model.ts";
import { loadParts } from "./load-parts.ts";
import { type PretrainedOptions, resolveOptions } from "./pretrained-options.ts";
import {
  type ModelOpener,
  modelInput,
  type PretrainedSource,
  withSource,
} from "./pretrained-source.ts";
import type { ModelParts, RandomOptions } from "./runnable-model.ts";

export interface ModelClass<Model> {
  /** Of a configuration: random weights, made when they are first needed. */
  new (source: ModelParts | LlamaConfig, options?: RandomOptions): Model;
  /**
   * Loads a model: a name, a path, an https:// URL, a folder, or opened files.
   *
   * @throws PronkError "not_found", "bad_format", "unsupported", "source_failed", "out_of_memory"; "bad_request" for
   *   an option that is not known.
   */
  fromPretrained(source: PretrainedSource, options?: PretrainedOptions): Promise<Model>;
}

export interface ModelClasses {
  readonly LlamaModel: ModelClass<LlamaModel>;
  readonly LlamaForCausalLM: ModelClass<LlamaForCausalLM>;
  readonly LlamaForSequenceClassification: ModelClass<LlamaForSequenceClassification>;
  readonly LlamaForTokenClassification: ModelClass<LlamaForTokenClassification>;
  readonly LlamaForQuestionAnswering: ModelClass<LlamaForQuestionAnswering>;
  /** LlamaModel, Flax weights first. */
  readonly FlaxLlamaModel: ModelClass<LlamaModel>;
  /** LlamaForCausalLM, Flax weights first. */
  readonly FlaxLlamaForCausalLM: ModelClass<LlamaForCausalLM>;
}

export function bindModels(opener: ModelOpener): ModelClasses {
  const bind = <Model>(
    Base: new (source: ModelParts | LlamaConfig, options?: RandomOptions) => Model,
    head: HeadKind,
    prefersFlax = false,
  ): ModelClass<Model> =>
    Object.assign(Base, {
      opener,
      fromPretrained: async (
        source: PretrainedSource,
        options: PretrainedOptions = {},
      ): Promise<Model> => new Base(await load(opener, source, head, options, prefersFlax)),
    });
  const Model = bind(class extends LlamaModel {}, "none");
  const ForCausalLM = bind(class extends LlamaForCausalLM {}, "causal-lm");
  return {
    LlamaModel: Model,
    LlamaForCausalLM: ForCausalLM,
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
    FlaxLlamaModel: bind(class extends Model {}, "none", true),
    FlaxLlamaForCausalLM: bind(class extends ForCausalLM {}, "causal-lm", true),
  };
}

async function load(
  opener: ModelOpener,
  source: PretrainedSource,
  head: HeadKind,
  options: PretrainedOptions,
  prefersFlax: boolean,
): Promise<ModelParts> {
  const resolved = resolveOptions(options, prefersFlax);
  const { kinds } = resolved;
  const request = { ...options, ...(kinds && { kinds }), part: "model" } as const;
  return withSource(opener, source, request, async (opened) => {
    const input = await modelInput(opened, request);
    return loadParts(input, head, await opener.runtime(options.kernels), options, resolved);
  });
}
