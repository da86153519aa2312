/** Pipelines' types, as every public entry exports them. */
export type { AggregationStrategy, Entity } from "../llama/pipelines/entities.ts";
export type {
  FeatureExtractionOptions,
  FeatureExtractionPipeline,
  Features,
} from "../llama/pipelines/feature-extraction.ts";
export type { TextGenerationOptions } from "../llama/pipelines/generation-options.ts";
export type { PipelineLoadOptions } from "../llama/pipelines/load-options.ts";
export type { PipelineFunction, PipelineOptions } from "../llama/pipelines/pipeline.ts";
export type {
  Answer,
  Answers,
  QuestionAnsweringOptions,
  QuestionAnsweringPipeline,
  QuestionInput,
  QuestionLists,
} from "../llama/pipelines/question-answering.ts";
export type { PipelineTask, PipelineTaskName } from "../llama/pipelines/tasks.ts";
export type {
  LabelScore,
  TextClassificationOptions,
  TextClassificationPipeline,
  TextPair,
} from "../llama/pipelines/text-classification.ts";
export type {
  Chat,
  GeneratedText,
  GeneratedTokens,
  TextGenerationPipeline,
} from "../llama/pipelines/text-generation.ts";
export type {
  TokenClassificationOptions,
  TokenClassificationPipeline,
} from "../llama/pipelines/token-classification.ts";
export type {
  ZeroShotClassificationPipeline,
  ZeroShotOptions,
  ZeroShotResult,
} from "../llama/pipelines/zero-shot-classification.ts";
