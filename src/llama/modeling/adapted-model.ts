/** A model with LoRA adapters beside its weights, under the names of transformers and PEFT. */
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import { PronkError } from "../../errors.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { mergedRunner } from "./merge-adapters.ts";
import {
  type AdapterChoice,
  type AppliedAdapter,
  ModelAdapters,
  type WeightedAdapterOptions,
} from "./model-adapters.ts";
import { DEFAULT_ADAPTER, type LoadAdapterOptions, openAdapter } from "./open-adapter.ts";
import { RunnableModel } from "./runnable-model.ts";

export abstract class AdaptedModel extends RunnableModel {
  readonly #adapters = new ModelAdapters();

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
    const { opener } = this.constructor as typeof AdaptedModel;
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
      const merged = await mergedRunner(built, config, adapters, this.build);
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
  protected override get appliedAdapters(): readonly AppliedAdapter[] | undefined {
    return this.#adapters.applied;
  }

  protected refuseAdapters(what: string): void {
    if (this.#adapters.size === 0) return;
    const names = this.#adapters.names.join(", ");
    throw new PronkError(
      "bad_request",
      `${what}: adapters are loaded (${names}); delete them first`,
    );
  }
}
