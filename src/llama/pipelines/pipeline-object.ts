/** What all pipelines share: a function that is called with inputs, and what it is made of. */
// For projects whose own `lib` is older, and who check the types of packages.
/// <reference lib="esnext.disposable" preserve="true" />
import { PronkError } from "../../errors.ts";
import type { PreTrainedModel } from "../modeling/pretrained-model.ts";
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";
import type { RunOptions } from "./run-stages.ts";
import { type PipelineTask, TASK_HEADS } from "./tasks.ts";

export interface PipelineParts<Model> {
  readonly task: PipelineTask;
  readonly model: Model;
  readonly tokenizer: PreTrainedTokenizerBase;
  /** A macrotask: timers, sockets and aborts run between batches. Default: none, for a single call. */
  readonly yieldTask?: () => Promise<void>;
}

/** Of the models' own methods: they have no tokenizer. */
export type OfOneCall<Options> = Options & { readonly tokenizer: PreTrainedTokenizerBase };

/** Beside being called. */
export interface PipelineObject<Model> {
  readonly task: PipelineTask;
  readonly model: Model;
  readonly tokenizer: PreTrainedTokenizerBase;
  /** What transformers would log as a warning when the pipeline is made. */
  readonly notes: readonly string[];
  /** Ends the model. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Inputs one after the other, however many there are; in Python a generator is given to the pipeline itself. */
export interface Iterating<Input, Options, Output> {
  iterate(
    inputs: Iterable<Input> | AsyncIterable<Input>,
    options?: Options,
  ): AsyncGenerator<Output, void, undefined>;
}

/** @throws PronkError "bad_request" for a model of another task. */
export function pipelineObject<Model extends PreTrainedModel, Own extends object>(
  { task, model, tokenizer }: PipelineParts<Model>,
  own: Own,
  notes: readonly string[] = [],
): Own & PipelineObject<Model> {
  const dispose = (): void => model.dispose();
  const parts = { task, model, tokenizer, notes, dispose, [Symbol.dispose]: dispose };
  return Object.assign(own, parts);
}

/** @throws PronkError "bad_request" where the model ends with another head than the task's. */
export function checkModel(task: PipelineTask, { head }: Pick<PreTrainedModel, "head">): void {
  const heads = TASK_HEADS[task];
  if (heads.includes(head)) return;
  const what = `pipeline: ${task}: the model's head is ${head}, not ${heads.join(" or ")}`;
  throw new PronkError("bad_request", what, { param: "model" });
}

/** Options of how inputs are run, of every pipeline. */
const RUN_OPTIONS: readonly string[] = [
  "batch_size",
  "signal",
  "num_workers",
] satisfies (keyof RunOptions)[];

/** @throws PronkError "bad_request" naming the first option that the task does not have. */
export function checkOptions(task: PipelineTask, options: object, known: readonly string[]): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.includes(name) || RUN_OPTIONS.includes(name)) continue;
    throw badOption(task, name, "no such option");
  }
}

/** A caller's undefined stands for the default. */
export function withoutUndefined<Options extends object>(options: Options): Options {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Options;
}

export function badOption(task: PipelineTask, name: string, why: string): PronkError {
  return new PronkError("bad_request", `${task}: ${name}: ${why}`, { param: name });
}
