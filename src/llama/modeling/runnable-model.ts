/** A model as what runs: a configuration, weights on a runner, and `forward` over a batch. */
// For projects whose own `lib` is older, and who check the types of packages.
/// <reference lib="esnext.disposable" preserve="true" />
import { PronkError } from "../../errors.ts";
import { LlamaConfig } from "../llama-config.ts";
import { type BatchInput, type ForwardInputs, readInputs } from "./forward-inputs.ts";
import type { HeadKind } from "./heads.ts";
import { KvCache } from "./kv-cache.ts";
import { loadParts } from "./load-parts.ts";
import type { AppliedAdapter } from "./model-adapters.ts";
import { type CoreOutput, ModelCore, type Wanted } from "./model-core.ts";
import type { PretrainedOptions } from "./pretrained-options.ts";
import type { ModelOpener } from "./pretrained-source.ts";
import { randomCheckpoint } from "./random-weights.ts";
import type { BuildRunner, BuiltRunner } from "./runner-build.ts";

/** What a loader gives to a model's constructor. */
export interface ModelParts extends BuiltRunner {
  readonly head: HeadKind;
  readonly config: LlamaConfig;
  /** The fields of generation_config.json. */
  readonly generationConfig: Readonly<Record<string, unknown>>;
  /** Makes the runner again, over other weights. */
  readonly build: BuildRunner;
  /** What differs from what was asked for. */
  readonly notes?: readonly string[] | undefined;
  readonly missing_keys?: readonly string[] | undefined;
  readonly unexpected_keys?: readonly string[] | undefined;
}

/** Of a model that is made of a configuration. The seed is 0 unless another is given: same seed, same weights. */
export type RandomOptions = Pick<
  PretrainedOptions,
  | "seed"
  | "backend"
  | "ctx"
  | "slots"
  | "quantization"
  | "quantization_config"
  | "dtype"
  | "kernels"
  | "signal"
  | "onNote"
>;

/** What every `forward` can give beside its own. */
export interface CommonOutput {
  /** One more than layers, embeddings first: (batch, length, hidden_size). */
  readonly hidden_states?: CoreOutput["hidden_states"];
  /** One a layer: (batch, heads, length, cached + length). */
  readonly attentions?: CoreOutput["attentions"];
  readonly past_key_values?: KvCache;
}

export abstract class RunnableModel {
  /** Set by an entry; without it the reference backend alone runs. */
  static opener: Pick<ModelOpener, "runtime" | "outputFolder" | "yieldTask" | "open"> | undefined;

  readonly config: LlamaConfig;
  /** Tensors that the files lacked: made at random. */
  readonly missing_keys: readonly string[];
  /** Tensors of the files that this model does not have. */
  readonly unexpected_keys: readonly string[];
  protected readonly core: ModelCore;
  readonly #head: HeadKind;
  #backend: string;
  #build: BuildRunner | undefined;
  #notes: readonly string[] = [];

  /**
   * @param source a configuration, for random weights that are made when they are needed; or what a loader made
   *   for this class's head
   */
  constructor(source: ModelParts | LlamaConfig, head: HeadKind, options: RandomOptions = {}) {
    this.#head = head;
    if (source instanceof LlamaConfig) {
      this.config = source;
      this.missing_keys = [];
      this.unexpected_keys = [];
      this.#backend = options.backend ?? "wasm";
      const { opener } = new.target as unknown as typeof RunnableModel;
      // The configuration is checked now; weights come with the first use.
      this.core = new ModelCore(source.toModelConfig(), this.#randomParts(opener, options));
    } else {
      if (source.head !== head) {
        throw new PronkError("bad_request", `a model made for ${source.head}`);
      }
      this.config = source.config;
      this.#backend = source.runner.backend;
      this.#build = source.build;
      this.#notes = source.notes ?? [];
      this.missing_keys = source.missing_keys ?? [];
      this.unexpected_keys = source.unexpected_keys ?? [];
      this.core = new ModelCore(source.config.toModelConfig(), source);
    }
  }

  /** Of its own: a closure of the constructor would keep a loader's parts beyond `dispose`. */
  #randomParts(
    opener: typeof RunnableModel.opener,
    options: RandomOptions,
  ): () => Promise<ModelParts> {
    return async () => {
      const checkpoint = randomCheckpoint(this.config, this.#head, options.seed);
      const isReference = options.backend === "reference";
      const runtime = isReference ? undefined : await opener?.runtime(options.kernels);
      const parts = await loadParts({ checkpoint }, this.#head, runtime, options);
      this.#build = parts.build;
      this.#notes = parts.notes ?? [];
      this.#backend = parts.runner.backend;
      return parts;
    };
  }

  /** What differs from what was asked for: forms of quantization, what the backend leaves out, new heads. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** What the model ends with. */
  get head(): HeadKind {
    return this.#head;
  }

  /** A macrotask of the entry's runtime, which long work lets others run in; undefined without an entry. */
  protected get yieldTask(): (() => Promise<void>) | undefined {
    return (this.constructor as typeof RunnableModel).opener?.yieldTask;
  }

  /** Positions that a sequence may have, as the model was loaded; weights that are not made yet are. */
  contextLength(): Promise<number> {
    return this.core.inTurn(({ runner }) => runner.ctx);
  }

  /** reference, wasm or webgpu; of random weights under "auto", what was asked for until they are made. */
  get backend(): string {
    return this.#backend;
  }

  /** Ends the model and frees its memory; what is asked of it later throws "engine_failed". */
  dispose(): void {
    this.core.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Makes the runner again, over other weights. */
  protected get build(): BuildRunner {
    if (this.#build) return this.#build;
    throw new PronkError("engine_failed", "the model's weights are not made yet");
  }

  /** What rows that are run now get. */
  protected get appliedAdapters(): readonly AppliedAdapter[] | undefined {
    return undefined;
  }

  /**
   * Runs the batch. `columns` says whose outputs the head gives.
   *
   * @throws PronkError "bad_request" naming the input; "unsupported" for masks and attention without a
   *   cache of f32.
   */
  protected async run(
    inputs: ForwardInputs,
    columns: (length: number) => readonly number[],
    states: Wanted["states"],
  ): Promise<{ readonly output: CoreOutput; readonly common: CommonOutput }> {
    const { past_key_values: past } = inputs;
    const asked = (name: "output_attentions" | "output_hidden_states"): boolean =>
      inputs[name] ?? this.config.extra[name] === true;
    const attentions = asked("output_attentions");
    const hiddenStates = asked("output_hidden_states");
    const adapters = this.appliedAdapters;
    if (past && !past.isOf(this.core)) {
      throw new PronkError("bad_request", "past_key_values: they are another model's", {
        param: "past_key_values",
      });
    }
    const { kv } = await this.core.inTurn(({ runner }) => runner);
    const hasMasks = kv === "f32";
    if (attentions && !hasMasks) {
      throw new PronkError(
        "unsupported",
        `output_attentions: the model was loaded with a cache of ${kv}; quantization "none" keeps f32`,
        { param: "output_attentions" },
      );
    }
    const known = past && {
      length: past.getSeqLength(),
      columns: past.sequences.map((sequence) => sequence.columns),
    };
    const read = readInputs(inputs, this.config.hidden_size, known, hasMasks);
    const batch = adapters ? withAdapters(read, adapters) : read;
    const cache = past ?? new KvCache(this.core, batch.batch);
    const wanted = {
      columns: columns(batch.length),
      states: hiddenStates ? "all" : states,
      attentions,
    } as const;
    const output = await this.core.forward(batch, cache, wanted);
    const keep = inputs.use_cache ?? this.config.use_cache;
    if (!past && !keep) cache.release();
    return {
      output,
      common: {
        ...(hiddenStates && { hidden_states: output.hidden_states }),
        ...(attentions && { attentions: output.attentions }),
        ...(keep && { past_key_values: cache }),
      },
    };
  }
}

function withAdapters(input: BatchInput, adapters: readonly AppliedAdapter[]): BatchInput {
  return { ...input, sequences: input.sequences.map((sequence) => ({ ...sequence, adapters })) };
}

export const allColumns = (length: number): number[] =>
  Array.from({ length }, (_, column) => column);
