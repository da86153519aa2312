/** What all models share beside running: embeddings that can be resized, saving, caches as bytes. */
import { PronkError } from "../../errors.ts";
import type { OutputFolder } from "../../formats/output-file.ts";
import { EMBEDDING, LM_HEAD } from "../../model/tensors.ts";
import type { LlamaConfig } from "../llama-config.ts";
import { AdaptedModel } from "./adapted-model.ts";
import { Embedding } from "./embedding.ts";
import { ARCHITECTURES, type HeadKind } from "./heads.ts";
import type { KvCache } from "./kv-cache.ts";
import { type ResizeOptions, resizedRows, resizeEmbeddings } from "./resize-embeddings.ts";
import type { ModelParts, RandomOptions } from "./runnable-model.ts";
import type { BuildRunner } from "./runner-build.ts";
import {
  type FileSink,
  noHub,
  type SavePretrainedOptions,
  savePretrained,
} from "./save-pretrained.ts";
import { changedWeights, tableOf, writeRows } from "./table-rows.ts";
import type { Tensor } from "./tensor.ts";

export abstract class PreTrainedModel extends AdaptedModel {
  /** Rows that `resizeTokenEmbeddings` added: [from, to). */
  #added: { readonly from: number; readonly to: number } = { from: 0, to: 0 };
  /** Of the added rows, the one that is zero, as the padding token's must be. */
  #padding: number | null = null;

  constructor(source: ModelParts | LlamaConfig, head: HeadKind, options?: RandomOptions) {
    super(source, head, options);
    this.core.prepare = () => this.#zeroPadding();
  }

  /** The table of token embeddings. */
  getInputEmbeddings(): Embedding {
    return this.#table(EMBEDDING);
  }

  /** The language model's head, which is the embedding where they are tied; null of other models. */
  getOutputEmbeddings(): Embedding | null {
    if (this.head !== "causal-lm") return null;
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
    if (this.head !== "causal-lm") {
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
    this.refuseAdapters("other embeddings");
    const change = { name, rows, kept: 0, form: "f32", values } as const;
    await this.core.replace(({ runner, tensors }) => {
      const weights = changedWeights(runner.weights, tensors, [change]);
      return this.build(this.config.toModelConfig(), weights);
    });
    this.#padding = null;
  }

  /**
   * `resize_token_embeddings`: rows are cut off, or added behind the others; config.vocab_size follows, and the head
   * where it is the language model's. Without a number they stay, but for `pad_to_multiple_of`. A new row of
   * config.pad_token_id is zero, set before or after. Memory is planned anew: old and new are there together for
   * the time of the call.
   *
   * @param multiple_or_options options by name, or pad_to_multiple_of with mean_resizing behind it, as in Python
   * @throws PronkError "bad_request", "out_of_memory"; the model is then as it was.
   */
  async resizeTokenEmbeddings(
    new_num_tokens?: number | null,
    multiple_or_options?: number | null | ResizeOptions,
    mean_resizing = true,
  ): Promise<Embedding> {
    const { config, core } = this;
    const options: ResizeOptions =
      typeof multiple_or_options === "object" && multiple_or_options !== null
        ? multiple_or_options
        : { pad_to_multiple_of: multiple_or_options ?? null, mean_resizing };
    const current = config.vocab_size;
    const rows = resizedRows(new_num_tokens, options.pad_to_multiple_of, current);
    if (rows !== current) {
      this.refuseAdapters("another number of tokens");
      const build = (): BuildRunner => this.build;
      await resizeEmbeddings({ core, config, head: this.head, build }, rows, options);
      const from = Math.min(rows, this.#added.to > this.#added.from ? this.#added.from : current);
      this.#added = { from, to: rows };
    }
    return this.getInputEmbeddings();
  }

  /** config.pad_token_id may be set after its row was added. */
  #zeroPadding(): void {
    const id = this.config.pad_token_id;
    if (id === null || id === this.#padding || id < this.#added.from || id >= this.#added.to)
      return;
    const { runner, tensors, changed } = this.core.built;
    const table = tableOf(tensors, EMBEDDING);
    writeRows(runner.weights, table, id, id + 1, () => {});
    changed?.(table.offset, table.bytes);
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
    const head = this.head;
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
}
