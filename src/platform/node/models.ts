/** The model classes, Auto classes, configuration and pipelines of Node, bound to its files. */
import type { AutoClasses } from "../../llama/auto/auto-classes.ts";
import type { ConfigClass, PretrainedClasses } from "../../llama/auto/bind-classes.ts";
import type { GenerationConfigClass } from "../../llama/auto/generation-config-class.ts";
import type { ModelClasses } from "../../llama/modeling/bind-models.ts";
import type { PipelineFunction } from "../../llama/pipelines/pipeline.ts";
import { hostModels } from "../host/models.ts";
import { nodeHost } from "./host.ts";

const classes: PretrainedClasses = hostModels(nodeHost);

export const AutoConfig: AutoClasses["AutoConfig"] = classes.AutoConfig;
export const AutoModel: AutoClasses["AutoModel"] = classes.AutoModel;
export const AutoModelForCausalLM: AutoClasses["AutoModelForCausalLM"] =
  classes.AutoModelForCausalLM;
export const AutoModelForSequenceClassification: AutoClasses["AutoModelForSequenceClassification"] =
  classes.AutoModelForSequenceClassification;
export const AutoModelForTokenClassification: AutoClasses["AutoModelForTokenClassification"] =
  classes.AutoModelForTokenClassification;
export const AutoModelForQuestionAnswering: AutoClasses["AutoModelForQuestionAnswering"] =
  classes.AutoModelForQuestionAnswering;

export const LlamaConfig: ConfigClass = classes.LlamaConfig;
export type LlamaConfig = InstanceType<ConfigClass>;
export const GenerationConfig: GenerationConfigClass = classes.GenerationConfig;
export type GenerationConfig = InstanceType<GenerationConfigClass>;

export const LlamaModel: ModelClasses["LlamaModel"] = classes.LlamaModel;
export type LlamaModel = InstanceType<ModelClasses["LlamaModel"]>;
export const LlamaForCausalLM: ModelClasses["LlamaForCausalLM"] = classes.LlamaForCausalLM;
export type LlamaForCausalLM = InstanceType<ModelClasses["LlamaForCausalLM"]>;
export const LlamaForSequenceClassification: ModelClasses["LlamaForSequenceClassification"] =
  classes.LlamaForSequenceClassification;
export type LlamaForSequenceClassification = InstanceType<
  ModelClasses["LlamaForSequenceClassification"]
>;
export const LlamaForTokenClassification: ModelClasses["LlamaForTokenClassification"] =
  classes.LlamaForTokenClassification;
export type LlamaForTokenClassification = InstanceType<ModelClasses["LlamaForTokenClassification"]>;
export const LlamaForQuestionAnswering: ModelClasses["LlamaForQuestionAnswering"] =
  classes.LlamaForQuestionAnswering;
export type LlamaForQuestionAnswering = InstanceType<ModelClasses["LlamaForQuestionAnswering"]>;
export const FlaxLlamaModel: ModelClasses["FlaxLlamaModel"] = classes.FlaxLlamaModel;
export type FlaxLlamaModel = InstanceType<ModelClasses["FlaxLlamaModel"]>;
export const FlaxLlamaForCausalLM: ModelClasses["FlaxLlamaForCausalLM"] =
  classes.FlaxLlamaForCausalLM;
export type FlaxLlamaForCausalLM = InstanceType<ModelClasses["FlaxLlamaForCausalLM"]>;

export const pipeline: PipelineFunction = classes.pipeline;
