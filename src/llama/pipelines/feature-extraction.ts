/**
 * The states of a text's tokens: the model's first output, (1, length, hidden_size).
 *
 * Source: pipelines/feature_extraction.py in transformers 4.57.
 */
import { PronkError } from "../../errors.ts";
import type { ForwardInputs } from "../modeling/forward-inputs.ts";
import type { PreTrainedModel } from "../modeling/pretrained-model.ts";
import type { Tensor } from "../modeling/tensor.ts";
import type { CallOptions, EncodedRow } from "../tokenizer/batch-encoding.ts";
import { batchOf, rowOf } from "./model-rows.ts";
import {
  badOption,
  checkOptions,
  type Iterating,
  type PipelineObject,
  type PipelineParts,
  pipelineObject,
  withoutUndefined,
} from "./pipeline-object.ts";
import { collect, type RunOptions, runStages } from "./run-stages.ts";

export interface FeatureExtractionOptions extends RunOptions {
  readonly truncation?: CallOptions["truncation"];
  /** Options for the tokenizer. */
  readonly tokenize_kwargs?: Omit<CallOptions, "text_pair" | "return_tensors">;
  /** Give `{ dims, data }` in place of nested lists. Default false. */
  readonly return_tensors?: boolean;
}

/** (1, length, hidden_size) */
export type Features = number[][][];

/** A model that gives something for each token: states, else logits. */
export interface FeatureModel extends PreTrainedModel {
  forward(inputs: ForwardInputs): Promise<object>;
}

type AsTensors = FeatureExtractionOptions & { readonly return_tensors: true };

export interface FeatureExtractionPipeline
  extends PipelineObject<FeatureModel>,
    Iterating<string, FeatureExtractionOptions, Features | Tensor> {
  (text: string, options: AsTensors): Promise<Tensor>;
  (text: string, options?: FeatureExtractionOptions): Promise<Features>;
  (texts: readonly string[], options: AsTensors): Promise<Tensor[]>;
  (texts: readonly string[], options?: FeatureExtractionOptions): Promise<Features[]>;
}

const OPTIONS = ["truncation", "tokenize_kwargs", "return_tensors"];

/** @throws PronkError "bad_request" naming the option. */
export function featureExtractionPipeline(
  parts: PipelineParts<FeatureModel>,
  defaults: FeatureExtractionOptions = {},
): FeatureExtractionPipeline {
  const { task, model, tokenizer } = parts;
  checkOptions(task, defaults, OPTIONS);

  const iterate = (
    texts: Iterable<string> | AsyncIterable<string>,
    given: FeatureExtractionOptions = {},
  ): AsyncGenerator<Features | Tensor, void, undefined> => {
    checkOptions(task, given, OPTIONS);
    const options = { ...defaults, ...withoutUndefined(given) };
    const { truncation, tokenize_kwargs: kwargs = {} } = options;
    if (truncation !== undefined && kwargs.truncation !== undefined) {
      throw new PronkError(
        "bad_request",
        "truncation parameter defined twice (given as keyword argument as well as in tokenize_kwargs)",
        { param: "truncation" },
      );
    }
    return runStages(
      parts,
      texts,
      {
        prepare: (text): EncodedRow[] => {
          if (typeof text !== "string") throw badOption(task, "inputs", "not a text");
          const cut = truncation === undefined ? {} : { truncation };
          return [tokenizer.call(text, { ...kwargs, ...cut })];
        },
        forward: async (rows): Promise<Tensor[]> => {
          const inputs = { ...batchOf(rows, tokenizer), use_cache: false };
          const states = firstOutput(await model.forward(inputs));
          return rows.map(({ input_ids }, i) =>
            rowOf(states, i, input_ids.length, tokenizer.padding_side),
          );
        },
        finish: (_, __, [row]) => {
          const { dims, data } = row!;
          const [length, width] = dims as [number, number];
          if (options.return_tensors) return { dims: [1, length, width], data: data.slice() };
          const at = (token: number): number[] =>
            Array.from(data.subarray(token * width, (token + 1) * width));
          return [Array.from({ length }, (_token, token) => at(token))];
        },
      },
      options,
    );
  };

  const call = async (
    texts: string | readonly string[],
    options?: FeatureExtractionOptions,
  ): Promise<unknown> => {
    const isList = typeof texts !== "string";
    const outputs = await collect(iterate(isList ? texts : [texts], options));
    return isList ? outputs : outputs[0];
  };
  return pipelineObject(parts, Object.assign(call, { iterate })) as FeatureExtractionPipeline;
}

function firstOutput(output: object): Tensor {
  const { last_hidden_state, logits } = output as Readonly<Record<string, Tensor>>;
  return last_hidden_state ?? logits!;
}
