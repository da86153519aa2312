/**
 * transformers' Auto classes: the class that a checkpoint's model_type asks for, which is a Llama's or refused by
 * name. As there, the head is that of the Auto class, whichever one `architectures` names.
 */
import { LlamaConfig, type LlamaConfigFields } from "../llama-config.ts";
import type { ModelClass, ModelClasses } from "../modeling/bind-models.ts";
import type { LlamaForCausalLM } from "../modeling/llama-for-causal-lm.ts";
import type { LlamaForQuestionAnswering } from "../modeling/llama-for-question-answering.ts";
import type { LlamaForSequenceClassification } from "../modeling/llama-for-sequence-classification.ts";
import type { LlamaForTokenClassification } from "../modeling/llama-for-token-classification.ts";
import type { LlamaModel } from "../modeling/llama-model.ts";
import type { ModelOpener, PretrainedSource } from "../modeling/pretrained-source.ts";
import type { RandomOptions } from "../modeling/runnable-model.ts";
import { type ConfigOptions, loadConfig } from "./auto-config.ts";
import { type AutoTokenizerClass, bindAutoTokenizer } from "./auto-tokenizer.ts";

/** An Auto class makes models of another class; it has no instances. */
export interface AutoModelClass<Model> extends Pick<ModelClass<Model>, "fromPretrained"> {
  /** Random weights, made when they are first needed. @throws PronkError as LlamaConfig. */
  fromConfig(config: LlamaConfig | LlamaConfigFields, options?: RandomOptions): Model;
}

export interface AutoClasses {
  readonly AutoConfig: {
    /** @throws PronkError "unsupported" naming a model_type that is no Llama; "not_found"; "bad_format". */
    fromPretrained(source: PretrainedSource, options?: ConfigOptions): Promise<LlamaConfig>;
  };
  readonly AutoTokenizer: AutoTokenizerClass;
  readonly AutoModel: AutoModelClass<LlamaModel>;
  readonly AutoModelForCausalLM: AutoModelClass<LlamaForCausalLM>;
  readonly AutoModelForSequenceClassification: AutoModelClass<LlamaForSequenceClassification>;
  readonly AutoModelForTokenClassification: AutoModelClass<LlamaForTokenClassification>;
  readonly AutoModelForQuestionAnswering: AutoModelClass<LlamaForQuestionAnswering>;
}

export function bindAutoClasses(opener: ModelOpener, classes: ModelClasses): AutoClasses {
  return {
    AutoConfig: { fromPretrained: (source, options) => loadConfig(opener, source, options) },
    AutoTokenizer: bindAutoTokenizer(opener),
    AutoModel: autoClass(classes.LlamaModel),
    AutoModelForCausalLM: autoClass(classes.LlamaForCausalLM),
    AutoModelForSequenceClassification: autoClass(classes.LlamaForSequenceClassification),
    AutoModelForTokenClassification: autoClass(classes.LlamaForTokenClassification),
    AutoModelForQuestionAnswering: autoClass(classes.LlamaForQuestionAnswering),
  };
}

function autoClass<Model>(llama: ModelClass<Model>): AutoModelClass<Model> {
  return {
    fromPretrained: (source, options) => llama.fromPretrained(source, options),
    fromConfig: (config, options) =>
      new llama(config instanceof LlamaConfig ? config : new LlamaConfig(config), options),
  };
}
