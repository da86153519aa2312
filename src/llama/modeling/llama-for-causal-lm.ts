import { PronkError } from "../../errors.ts";
import { generate } from "../generation/generate.ts";
import type { GenerateOptions } from "../generation/generate-options.ts";
import { GenerationConfig } from "../generation/generation-config.ts";
import type { GenerateOutput } from "../generation/generation-run.ts";
import type { GenerationCache, GenerativeModel } from "../generation/generative-model.ts";
import { RunnerModel } from "../generation/runner-model.ts";
import { LlamaConfig } from "../llama-config.ts";
import { type ForwardInputs, IGNORED_LABEL } from "./forward-inputs.ts";
import { LentModel } from "./lent-model.ts";
import { crossEntropy } from "./losses.ts";
import { spanAdapters } from "./model-adapters.ts";
import { PreTrainedModel } from "./pretrained-model.ts";
import {
  allColumns,
  type CommonOutput,
  type ModelParts,
  type RandomOptions,
} from "./runnable-model.ts";
import { integerRows, type Tensor } from "./tensor.ts";

export interface CausalLmInputs extends ForwardInputs {
  /** (batch, length) ids, -100 where none counts: each is what the column before should give. */
  readonly labels?: readonly (readonly number[])[];
  /** Divides the loss instead of the number of labels that count. */
  readonly num_items_in_batch?: number;
  /** The last so many columns, 0 for all, the default; or these columns. */
  readonly logits_to_keep?: number | readonly number[];
}

export interface CausalLMOutputWithPast extends CommonOutput {
  readonly loss?: number;
  /** (batch, kept columns, vocab_size) */
  readonly logits: Tensor;
}

/** A Llama with its language model head: also what `generate`, `assistant_model` and fairseq2's generator take. */
export class LlamaForCausalLM extends PreTrainedModel implements GenerativeModel {
  /** Defaults of `generate`. */
  generation_config: GenerationConfig;
  readonly #lent = new LentModel((work) => this.#exclusively(work));

  constructor(source: ModelParts | LlamaConfig, options?: RandomOptions) {
    super(source, "causal-lm", options);
    this.generation_config =
      source instanceof LlamaConfig
        ? GenerationConfig.fromModelConfig(source.toJSON())
        : GenerationConfig.fromDict(source.generationConfig);
  }

  protected override savedGenerationConfig(): Record<string, unknown> {
    return this.generation_config.toDiffDict();
  }

  /**
   * `generate` of transformers: (rows, length) ids, the prompt included; with return_dict_in_generate an object.
   *
   * @throws PronkError "bad_request" with `param`, "unsupported", "context_overflow", "overloaded", "aborted".
   */
  generate(
    options: GenerateOptions & { readonly return_dict_in_generate: true },
  ): Promise<GenerateOutput>;
  generate(
    options: GenerateOptions & { readonly return_dict_in_generate?: false },
  ): Promise<number[][]>;
  generate(options: GenerateOptions): Promise<number[][] | GenerateOutput> {
    return this.#exclusively((model) => {
      const isOwn = options.assistant_model === this;
      return generate(model, isOwn ? { ...options, assistant_model: model } : options);
    });
  }

  get isCutDependent(): boolean {
    return this.core.runner.isCutDependent ?? false;
  }

  /**
   * Slots for rows of tokens that go on, for algorithms of one's own. Until the last of them is disposed, `forward` and
   * `generate` of this model wait.
   *
   * @throws PronkError "context_overflow", "overloaded" where there is no such room.
   */
  createCache(rows: number, length: number): Promise<GenerationCache> {
    return this.#lent.createCache(rows, length);
  }

  #exclusively<Result>(work: (model: GenerativeModel) => Promise<Result>): Promise<Result> {
    const { hidden_size, max_position_embeddings } = this.config;
    const { generation_config, yieldTask } = this;
    const applied = this.appliedAdapters;
    return this.core.exclusively((runner) => {
      const adapters = applied && spanAdapters(applied);
      const sizes = { hidden_size, max_position_embeddings, generation_config, adapters };
      return work(new RunnerModel(runner, { ...sizes, yieldTask }));
    });
  }

  /** @throws PronkError "bad_request", "unsupported". */
  async forward(inputs: CausalLmInputs): Promise<CausalLMOutputWithPast> {
    const { labels, num_items_in_batch: itemsInBatch } = inputs;
    let kept: readonly number[] = [];
    const { output, common } = await this.run(
      inputs,
      (length) => {
        kept = keptColumns(inputs.logits_to_keep ?? 0, length);
        return kept;
      },
      "none",
    );
    const { logits } = output;
    if (!labels) return { logits, ...common };
    const [batch, length, vocab] = logits.dims;
    integerRows(labels, "labels", batch, length);
    const shifted = labels.flatMap((row) => {
      for (const label of row) {
        if (label !== IGNORED_LABEL && !(label >= 0 && label < vocab)) {
          throw new PronkError("bad_request", `labels: ${label} is outside the vocabulary`, {
            param: "labels",
          });
        }
      }
      return [...row.slice(1), IGNORED_LABEL];
    });
    const scores = { scores: logits.data, classes: vocab, labels: shifted };
    return { loss: crossEntropy({ ...scores, itemsInBatch }), logits, ...common };
  }
}

function keptColumns(keep: number | readonly number[], length: number): readonly number[] {
  const bad = (what: number): PronkError =>
    new PronkError("bad_request", `logits_to_keep: ${what} of ${length} columns`, {
      param: "logits_to_keep",
    });
  if (typeof keep === "number") {
    if (!Number.isInteger(keep) || keep < 0) throw bad(keep);
    return keep === 0 ? allColumns(length) : allColumns(length).slice(-keep);
  }
  for (const column of keep)
    if (!(Number.isInteger(column) && column >= 0 && column < length)) throw bad(column);
  return keep;
}
