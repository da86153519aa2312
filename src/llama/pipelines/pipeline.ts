/**
 * `pipeline(task, model, options)` of transformers 4.57 (pipelines/__init__.py): a function from texts to results.
 * An entry binds what loads models and tokenizers by name.
 */
import { PronkError } from "../../errors.ts";
import type { AutoClasses } from "../auto/auto-classes.ts";
import type { LlamaForCausalLM } from "../modeling/llama-for-causal-lm.ts";
import type { LlamaForQuestionAnswering } from "../modeling/llama-for-question-answering.ts";
import type { LlamaForSequenceClassification } from "../modeling/llama-for-sequence-classification.ts";
import type { LlamaForTokenClassification } from "../modeling/llama-for-token-classification.ts";
import { PreTrainedModel } from "../modeling/pretrained-model.ts";
import type { PretrainedSource } from "../modeling/pretrained-source.ts";
import { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";
import {
  type FeatureExtractionOptions,
  type FeatureExtractionPipeline,
  type FeatureModel,
  featureExtractionPipeline,
} from "./feature-extraction.ts";
import type { TextGenerationOptions } from "./generation-options.ts";
import { type PipelineLoadOptions, refuseModelOptions, splitOptions } from "./load-options.ts";
import { checkModel } from "./pipeline-object.ts";
import {
  type QuestionAnsweringOptions,
  type QuestionAnsweringPipeline,
  questionAnsweringPipeline,
} from "./question-answering.ts";
import { type PipelineTask, type PipelineTaskName, taskOf } from "./tasks.ts";
import {
  type TextClassificationOptions,
  type TextClassificationPipeline,
  textClassificationPipeline,
} from "./text-classification.ts";
import { type TextGenerationPipeline, textGenerationPipeline } from "./text-generation.ts";
import {
  type TokenClassificationOptions,
  type TokenClassificationPipeline,
  tokenClassificationPipeline,
} from "./token-classification.ts";
import {
  type ZeroShotClassificationPipeline,
  type ZeroShotOptions,
  zeroShotClassificationPipeline,
} from "./zero-shot-classification.ts";

/** A model, or where it comes from. */
type ModelOf<Model> = Model | PretrainedSource;

/** Options of loading beside those of the task's calls, which become its defaults. */
export type PipelineOptions<TaskOptions> = PipelineLoadOptions & Omit<TaskOptions, "tokenizer">;

/**
 * Makes a pipeline; it is a function, and ends its model by `dispose()`.
 *
 * @throws PronkError "bad_request" with `param`; "unsupported" for tasks that no Llama does and devices that are not
 *   there; what `fromPretrained` throws.
 */
export interface PipelineFunction {
  /** Default model: smollm2-135m-instruct. */
  (
    task: "text-generation",
    model?: ModelOf<LlamaForCausalLM>,
    options?: PipelineOptions<TextGenerationOptions>,
  ): Promise<TextGenerationPipeline>;
  (
    task: "text-classification" | "sentiment-analysis",
    model: ModelOf<LlamaForSequenceClassification>,
    options?: PipelineOptions<TextClassificationOptions>,
  ): Promise<TextClassificationPipeline>;
  (
    task: "token-classification" | "ner",
    model: ModelOf<LlamaForTokenClassification>,
    options?: PipelineOptions<TokenClassificationOptions>,
  ): Promise<TokenClassificationPipeline>;
  (
    task: "question-answering",
    model: ModelOf<LlamaForQuestionAnswering>,
    options?: PipelineOptions<QuestionAnsweringOptions>,
  ): Promise<QuestionAnsweringPipeline>;
  (
    task: "feature-extraction",
    model: ModelOf<FeatureModel>,
    options?: PipelineOptions<FeatureExtractionOptions>,
  ): Promise<FeatureExtractionPipeline>;
  (
    task: "zero-shot-classification",
    model: ModelOf<LlamaForSequenceClassification>,
    options?: PipelineOptions<ZeroShotOptions>,
  ): Promise<ZeroShotClassificationPipeline>;
}

const MAKERS = {
  "text-generation": textGenerationPipeline,
  "text-classification": textClassificationPipeline,
  "token-classification": tokenClassificationPipeline,
  "question-answering": questionAnsweringPipeline,
  "feature-extraction": featureExtractionPipeline,
  "zero-shot-classification": zeroShotClassificationPipeline,
} as const satisfies Readonly<Record<PipelineTask, unknown>>;

/** Where no model is named; the other tasks have none that is everybody's. */
const DEFAULT_MODEL = "smollm2-135m-instruct";

type Loaders = Pick<
  AutoClasses,
  | "AutoModel"
  | "AutoModelForCausalLM"
  | "AutoModelForSequenceClassification"
  | "AutoModelForTokenClassification"
  | "AutoModelForQuestionAnswering"
  | "AutoTokenizer"
>;

/** @param yieldTask a macrotask; the default is a timer of 0 ms, which takes 1 to 4 */
export function bindPipeline(
  auto: Loaders,
  yieldTask: () => Promise<void> = () => new Promise((done) => setTimeout(done, 0)),
): PipelineFunction {
  const classes = {
    "text-generation": auto.AutoModelForCausalLM,
    "text-classification": auto.AutoModelForSequenceClassification,
    "token-classification": auto.AutoModelForTokenClassification,
    "question-answering": auto.AutoModelForQuestionAnswering,
    "feature-extraction": auto.AutoModel,
    "zero-shot-classification": auto.AutoModelForSequenceClassification,
  } as const;
  const make = async (
    name: PipelineTaskName,
    given?: ModelOf<PreTrainedModel>,
    options: PipelineLoadOptions = {},
  ): Promise<unknown> => {
    const task = taskOf(name);
    // As in `generate`, a tokenizer is found among the options of both.
    const split = splitOptions<object>(options);
    const isLoaded = given instanceof PreTrainedModel;
    if (isLoaded) {
      checkModel(task, given);
      refuseModelOptions(split.model);
    }
    const source = isLoaded ? undefined : sourceOf(task, given);
    const tokenizer = await loadTokenizer(split.load.tokenizer, source);
    const model = isLoaded
      ? given
      : await classes[task].fromPretrained(source as PretrainedSource, split.model);
    try {
      const parts = { task, model: model as never, tokenizer, yieldTask };
      const pipe = MAKERS[task](parts, split.task);
      for (const note of pipe.notes) (split.load.onNote ?? console.warn)(note);
      return pipe;
    } catch (error) {
      if (!isLoaded) model.dispose();
      throw error;
    }

    function loadTokenizer(
      asked: PipelineLoadOptions["tokenizer"],
      from: PretrainedSource | undefined,
    ): Promise<PreTrainedTokenizerBase> | PreTrainedTokenizerBase {
      if (asked instanceof PreTrainedTokenizerBase) return asked;
      const where = asked ?? from;
      if (where !== undefined) return auto.AutoTokenizer.fromPretrained(where, split.tokenizer);
      throw new PronkError(
        "bad_request",
        "Impossible to guess which tokenizer to use. Please provide a PreTrainedTokenizer class or a path/identifier to a pretrained tokenizer.",
        { param: "tokenizer" },
      );
    }
  };
  return make as PipelineFunction;
}

function sourceOf(task: PipelineTask, given: PretrainedSource | undefined): PretrainedSource {
  if (given !== undefined) return given;
  if (task === "text-generation") return DEFAULT_MODEL;
  throw new PronkError("bad_request", `pipeline: ${task}: no model; it has no default one`, {
    param: "model",
  });
}
