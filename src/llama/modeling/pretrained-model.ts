/** What all models share: a configuration, weights on a runner, and `forward` over a batch. */
import type { Runner } from "../../backends/backend.ts";
import { PronkError } from "../../errors.ts";
import type { LlamaConfig } from "../llama-config.ts";
import { type ForwardInputs, readInputs } from "./forward-inputs.ts";
import type { HeadKind } from "./heads.ts";
import { KvCache } from "./kv-cache.ts";
import { type CoreOutput, ModelCore, type TapSwitch, type Wanted } from "./model-core.ts";

/** What a loader gives to a model's constructor. */
export interface ModelParts {
  readonly head: HeadKind;
  readonly config: LlamaConfig;
  /** The fields of generation_config.json. */
  readonly generationConfig: Readonly<Record<string, unknown>>;
  readonly runner: Runner;
  readonly taps: TapSwitch;
  /** Columns of the head. */
  readonly outputs: number;
  /** What differs from what was asked for. */
  readonly notes?: readonly string[] | undefined;
  readonly missing_keys?: readonly string[] | undefined;
  readonly unexpected_keys?: readonly string[] | undefined;
}

/** What every `forward` can give beside its own. */
export interface CommonOutput {
  /** One more than layers, embeddings first: (batch, length, hidden_size). */
  readonly hidden_states?: CoreOutput["hidden_states"];
  /** One a layer: (batch, heads, length, cached + length). */
  readonly attentions?: CoreOutput["attentions"];
  readonly past_key_values?: KvCache;
}

export abstract class PreTrainedModel {
  readonly config: LlamaConfig;
  /** What differs from what was asked for: forms of quantization, what the backend leaves out, new heads. */
  readonly notes: readonly string[];
  /** Tensors that the files lacked: made at random. */
  readonly missing_keys: readonly string[];
  /** Tensors of the files that this model does not have. */
  readonly unexpected_keys: readonly string[];
  protected readonly core: ModelCore;
  readonly #runner: Runner;

  /** By a loader; use `fromPretrained`. @param parts made for this class's head */
  constructor(parts: ModelParts, head: HeadKind) {
    if (parts.head !== head) throw new PronkError("bad_request", `a model made for ${parts.head}`);
    const { config, runner, outputs, taps } = parts;
    this.config = config;
    this.notes = parts.notes ?? [];
    this.missing_keys = parts.missing_keys ?? [];
    this.unexpected_keys = parts.unexpected_keys ?? [];
    this.#runner = runner;
    this.core = new ModelCore(runner, config.toModelConfig(), outputs, taps);
  }

  /** reference or wasm. */
  get backend(): string {
    return this.#runner.backend;
  }

  /** Ends the model and what its caches hold. */
  dispose(): void {
    this.#runner.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
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
    const { past_key_values: past, output_attentions: attentions = false } = inputs;
    if (past && !past.isOf(this.core)) {
      throw new PronkError("bad_request", "past_key_values: they are another model's", {
        param: "past_key_values",
      });
    }
    const hasMasks = this.#runner.kv === "f32";
    if (attentions && !hasMasks) {
      throw new PronkError(
        "unsupported",
        `output_attentions: the model was loaded with a cache of ${this.#runner.kv}; quantization "none" keeps f32`,
        { param: "output_attentions" },
      );
    }
    const known = past && {
      length: past.getSeqLength(),
      columns: past.sequences.map((sequence) => sequence.columns),
    };
    const batch = readInputs(inputs, this.config.hidden_size, known, hasMasks);
    const cache = past ?? new KvCache(this.core, batch.batch);
    const wanted = {
      columns: columns(batch.length),
      states: inputs.output_hidden_states ? "all" : states,
      attentions,
    } as const;
    const output = await this.core.forward(batch, cache, wanted);
    const keep = inputs.use_cache ?? this.config.use_cache;
    if (!past && !keep) cache.release();
    return {
      output,
      common: {
        ...(inputs.output_hidden_states && { hidden_states: output.hidden_states }),
        ...(attentions && { attentions: output.attentions }),
        ...((past || keep) && { past_key_values: cache }),
      },
    };
  }
}

export const allColumns = (length: number): number[] =>
  Array.from({ length }, (_, column) => column);
