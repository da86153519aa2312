/** What all models share: a configuration, weights on a runner, and `forward` over a batch. */
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import { PronkError } from "../../errors.ts";
import type { OutputFolder } from "../../formats/output-file.ts";
import { EMBEDDING, LM_HEAD } from "../../model/tensors.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { LlamaConfig } from "../llama-config.ts";
import { Embedding } from "./embedding.ts";
import { type BatchInput, type ForwardInputs, readInputs } from "./forward-inputs.ts";
import { ARCHITECTURES, type HeadKind } from "./heads.ts";
import { KvCache } from "./kv-cache.ts";
import { loadParts } from "./load-parts.ts";
import { mergedRunner } from "./merge-adapters.ts";
import {
  type AdapterChoice,
  type AppliedAdapter,
  ModelAdapters,
  type WeightedAdapterOptions,
} from "./model-adapters.ts";
import { type CoreOutput, ModelCore, type Wanted } from "./model-core.ts";
import { DEFAULT_ADAPTER, type LoadAdapterOptions, openAdapter } from "./open-adapter.ts";
import type { PretrainedOptions } from "./pretrained-options.ts";
import type { ModelOpener } from "./pretrained-source.ts";
import { randomCheckpoint } from "./random-weights.ts";
import { type ResizeOptions, resizedRows, resizeEmbeddings } from "./resize-embeddings.ts";
import type { BuildRunner, BuiltRunner } from "./runner-build.ts";
import {
  type FileSink,
  noHub,
  type SavePretrainedOptions,
  savePretrained,
} from "./save-pretrained.ts";
import { changedWeights, tableOf, writeRows } from "./table-rows.ts";
import type { Tensor } from "./tensor.ts";

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

export abstract class PreTrainedModel {
  /** Set by an entry; without it the reference backend alone runs. */
  static opener: Pick<ModelOpener, "runtime" | "outputFolder" | "yieldTask" | "open"> | undefined;

  readonly config: LlamaConfig;
  /** Tensors that the files lacked: made at random. */
  readonly missing_keys: readonly string[];
  /** Tensors of the files that this model does not have. */
  readonly unexpected_keys: readonly string[];
  protected readonly core: ModelCore;
  readonly #head: HeadKind;
  readonly #backend: string;
  #build: BuildRunner | undefined;
  #notes: readonly string[] = [];
  readonly #adapters = new ModelAdapters();
  /** Rows that `resizeTokenEmbeddings` added: [from, to). */
  #added: { readonly from: number; readonly to: number } = { from: 0, to: 0 };
  /** Of the added rows, the one that is zero, as the padding token's must be. */
  #padding: number | null = null;

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
      const { opener } = new.target as unknown as typeof PreTrainedModel;
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
    this.core.prepare = () => this.#zeroPadding();
  }

  /** Of its own: a closure of the constructor would keep a loader's parts beyond `dispose`. */
  #randomParts(
    opener: typeof PreTrainedModel.opener,
    options: RandomOptions,
  ): () => Promise<ModelParts> {
    return async () => {
      const checkpoint = randomCheckpoint(this.config, this.#head, options.seed);
      const runtime = await opener?.runtime(options.kernels);
      const parts = await loadParts({ checkpoint }, this.#head, runtime, options);
      this.#build = parts.build;
      this.#notes = parts.notes ?? [];
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
    return (this.constructor as typeof PreTrainedModel).opener?.yieldTask;
  }

  /** reference or wasm. */
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

  /** The table of token embeddings. */
  getInputEmbeddings(): Embedding {
    return this.#table(EMBEDDING);
  }

  /** The language model's head, which is the embedding where they are tied; null of other models. */
  getOutputEmbeddings(): Embedding | null {
    if (this.#head !== "causal-lm") return null;
    return this.#table(this.config.tie_word_embeddings ? EMBEDDING : LM_HEAD);
  }

  #table(name: string): Embedding {
    const { config } = this;
    const size = (): { rows: number; cols: number } => ({
      rows: config.vocab_size,
      cols: config.hidden_size,
    });
    return new Embedding(this.core, name, size, () => config.pad_token_id);
  }

  /**
   * Other embeddings, (vocab_size, hidden_size), kept in f32; a head that is tied to them follows.
   *
   * @throws PronkError "bad_request" for another shape and values that are not finite.
   */
  setInputEmbeddings(table: Tensor): Promise<void> {
    return this.#setTable(EMBEDDING, table);
  }

  /** As setInputEmbeddings, of the language model's head. @throws PronkError "unsupported" without one. */
  async setOutputEmbeddings(table: Tensor): Promise<void> {
    if (this.#head !== "causal-lm") {
      throw new PronkError("unsupported", "setOutputEmbeddings: no language model's head");
    }
    await this.#setTable(this.config.tie_word_embeddings ? EMBEDDING : LM_HEAD, table);
  }

  async #setTable(name: string, { dims, data }: Tensor): Promise<void> {
    const { vocab_size: rows, hidden_size: cols } = this.config;
    if (dims.join() !== `${rows},${cols}` || data.length !== rows * cols) {
      throw new PronkError(
        "bad_request",
        `embeddings: (${dims.join(", ")}), not (${rows}, ${cols})`,
      );
    }
    const values = (row: number, out: Float32Array): void => {
      out.set(data.subarray(row * cols, (row + 1) * cols));
    };
    this.#refuseAdapters("other embeddings");
    const change = { name, rows, kept: 0, form: "f32", values } as const;
    await this.core.replace(({ runner, tensors }) => {
      const weights = changedWeights(runner.weights, tensors, [change]);
      return this.#builder()(this.config.toModelConfig(), weights);
    });
    this.#padding = null;
  }

  /**
   * `resize_token_embeddings`: rows are cut off, or added behind the others; config.vocab_size follows, and the head
   * where it is the language model's. Without a number they stay, but for `pad_to_multiple_of`. A new row of
   * config.pad_token_id is zero, set before or after. Memory is planned anew: old and new are there together for
   * the time of the call.
   *
   * @throws PronkError "bad_request", "out_of_memory"; the model is then as it was.
   */
  async resizeTokenEmbeddings(
    new_num_tokens?: number | null,
    options: ResizeOptions = {},
  ): Promise<Embedding> {
    const { config, core } = this;
    const current = config.vocab_size;
    const rows = resizedRows(new_num_tokens, options.pad_to_multiple_of, current);
    if (rows !== current) {
      this.#refuseAdapters("another number of tokens");
      const build = (): BuildRunner => this.#builder();
      await resizeEmbeddings({ core, config, head: this.#head, build }, rows, options);
      const from = Math.min(rows, this.#added.to > this.#added.from ? this.#added.from : current);
      this.#added = { from, to: rows };
    }
    return this.getInputEmbeddings();
  }

  #builder(): BuildRunner {
    if (this.#build) return this.#build;
    throw new PronkError("engine_failed", "the model's weights are not made yet");
  }

  /** config.pad_token_id may be set after its row was added. */
  #zeroPadding(): void {
    const id = this.config.pad_token_id;
    if (id === null || id === this.#padding || id < this.#added.from || id >= this.#added.to)
      return;
    const { runner, tensors } = this.core.built;
    writeRows(runner.weights, tableOf(tensors, EMBEDDING), id, id + 1, () => {});
    this.#padding = id;
  }

  /**
   * Writes config.json, model.safetensors (or shards and their index) and, of a model that generates,
   * generation_config.json; `fromPretrained` gives the same bits.
   *
   * @param target a folder; a path, where there are files; or a function that takes whole files
   * @returns the names of the files
   * @throws PronkError "unsupported" for pickles, uploads, and paths where there are none; "bad_request".
   */
  savePretrained(
    target: string | OutputFolder | FileSink,
    options: SavePretrainedOptions = {},
  ): Promise<string[]> {
    const { config } = this;
    const head = this.#head;
    return this.core.inTurn((built) => {
      const generation_config = this.savedGenerationConfig();
      const model = {
        architecture: ARCHITECTURES[head],
        head,
        config,
        ...(generation_config && { generation_config }),
      };
      return savePretrained(model, built, this.#folderOf(target), options);
    });
  }

  /** What generation_config.json says. */
  protected savedGenerationConfig(): Record<string, unknown> | undefined {
    return undefined;
  }

  #folderOf(target: string | OutputFolder | FileSink): OutputFolder | FileSink {
    if (typeof target !== "string") return target;
    const { opener } = this.constructor as typeof PreTrainedModel;
    if (opener?.outputFolder) return opener.outputFolder(target);
    throw new PronkError("unsupported", `${target}: no files here; give a folder or a function`);
  }

  /** @throws PronkError "unsupported": nothing is uploaded. */
  pushToHub(): never {
    throw noHub();
  }

  /** @throws PronkError "unsupported": heads are not pruned. */
  pruneHeads(): never {
    throw new PronkError("unsupported", "prune_heads: heads are not pruned");
  }

  /**
   * A cache that `KvCache.serialize` gave, of this model or one of the same weights; `KvCache.deserialize`.
   *
   * @throws PronkError "bad_format", "unsupported" for another version, "corrupt"; "bad_request" when another model
   *   made it or it does not fit.
   */
  loadCache(bytes: Uint8Array): Promise<KvCache> {
    return this.core.load(bytes);
  }

  /**
   * Puts a LoRA adapter beside the weights, which stay as they are, and makes it the active one.
   *
   * @param source a name (a path, a URL, `OWNER/REPO` of the hub), a folder, or an opened adapter
   * @throws PronkError "not_found", "bad_format", "unsupported" naming what is not built; "bad_request" for another base's
   *   and for a name that is taken; "out_of_memory" with the bytes that it needs.
   */
  async loadAdapter(
    source: string | SourceFolder | LoraAdapter,
    options: LoadAdapterOptions = {},
  ): Promise<void> {
    const { adapter_name: name = DEFAULT_ADAPTER, signal } = options;
    const { opener } = this.constructor as typeof PreTrainedModel;
    await this.core.inTurn(async ({ runner }) => {
      this.#adapters.checkNew(name);
      const { adapter, close } = await openAdapter(opener, source, options);
      try {
        await this.#adapters.add(runner, name, adapter, close, signal);
      } catch (error) {
        await close();
        throw error;
      }
      this.#adapters.activate([name]);
    });
  }

  /** These are active from the next call on, and no others; several add up. @throws PronkError "bad_request" */
  setAdapter(names: string | readonly string[]): void {
    this.#adapters.activate([names].flat());
  }

  /** As setAdapter, each with a scale. @throws PronkError "bad_request" */
  setAdapters(choices: readonly AdapterChoice[]): void {
    this.#adapters.activate(choices);
  }

  /** The weights alone, until `enableAdapters`. */
  disableAdapters(): void {
    this.#adapters.enable(false);
  }

  enableAdapters(): void {
    this.#adapters.enable(true);
  }

  /** Names, in the order in which they were set; also while they are disabled. */
  activeAdapters(): string[] {
    return this.#adapters.activeNames;
  }

  /** Names of all that are loaded or made of others. */
  loadedAdapters(): string[] {
    return this.#adapters.names;
  }

  /**
   * Forgets adapters and frees their memory. Past key values that were made with them stay valid while their slots last;
   * to compute them again is refused.
   *
   * @throws PronkError "bad_request" for a name that is not there.
   */
  deleteAdapter(names: string | readonly string[]): Promise<void> {
    return this.core.inTurn(async ({ runner }) => {
      for (const name of [names].flat()) await this.#adapters.remove(runner, name);
    });
  }

  /** `add_weighted_adapter`: a new name for several, each with a weight. @throws PronkError "bad_request", "unsupported" */
  addWeightedAdapter(options: WeightedAdapterOptions): Promise<void> {
    return this.core.inTurn(({ runner }) => this.#adapters.addWeighted(runner, options));
  }

  /**
   * The active adapters become part of the weights, in the form that these have, and all adapters are deleted. Old and
   * new weights are there together for the time of the call. Gives the model.
   *
   * @throws PronkError "out_of_memory", "bad_request", "unsupported"; the model is then as it was.
   */
  async mergeAndUnload(): Promise<this> {
    const { config } = this;
    await this.core.replace(async (built) => {
      const applied = this.#adapters.applied ?? [];
      const adapters = applied.map(({ held, scale }) => ({ adapter: held.adapter, weight: scale }));
      const merged = await mergedRunner(built, config, adapters, this.#builder());
      for (const name of this.#adapters.names) await this.#adapters.remove(built.runner, name);
      return merged;
    });
    return this;
  }

  /** All adapters are deleted, and the weights are as they were. Gives the model. */
  async unload(): Promise<this> {
    await this.deleteAdapter(this.loadedAdapters());
    return this;
  }

  /** What rows that are run now get. */
  protected get appliedAdapters(): readonly AppliedAdapter[] | undefined {
    return this.#adapters.applied;
  }

  #refuseAdapters(what: string): void {
    if (this.#adapters.size === 0) return;
    const names = this.#adapters.names.join(", ");
    throw new PronkError(
      "bad_request",
      `${what}: adapters are loaded (${names}); delete them first`,
    );
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
