/**
 * The LoRA adapters of a model, under the names of transformers and PEFT: which are there, and which are active. An
 * adapter stays on the runner until no name needs it.
 */
import { combineLinear } from "../../adapters/combine-lora.ts";
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import type { Runner, SpanAdapter } from "../../backends/backend.ts";
import { PronkError } from "../../errors.ts";
import { printable } from "../../formats/printable.ts";

/** An adapter on a runner. */
export interface HeldAdapter {
  readonly name: string;
  readonly adapter: LoraAdapter;
  /** undefined once it was deleted. */
  handle: number | undefined;
  /** Lets go of its files. */
  readonly close: () => Promise<void>;
}

/** What rows are run with. */
export interface AppliedAdapter {
  readonly held: HeldAdapter;
  readonly scale: number;
}

/** By name, 1 at a time or several; `id` is another word for `name`. */
export type AdapterChoice =
  | string
  | { readonly name: string; readonly id?: undefined; readonly scale?: number }
  | { readonly id: string; readonly name?: undefined; readonly scale?: number };

export interface WeightedAdapterOptions {
  readonly adapters: readonly string[];
  readonly weights: readonly number[];
  readonly adapter_name: string;
  /**
   * "cat", the default: the changes add up, each with its weight, as of ranks put side by side; "linear": one adapter
   * of the same rank whose factors are sums.
   */
  readonly combination_type?: "cat" | "linear";
}

const bad = (param: string, why: string): PronkError =>
  new PronkError("bad_request", `${param}: ${why}`, { param });

/** @throws PronkError "bad_request" when one of them was deleted. */
export function spanAdapters(applied: readonly AppliedAdapter[]): SpanAdapter[] {
  return applied.map(({ held, scale }) => {
    if (held.handle !== undefined) return { handle: held.handle, scale };
    throw bad("past_key_values", `made with the adapter ${held.name}, which was deleted`);
  });
}

export class ModelAdapters {
  /** By name: what it adds. */
  readonly #named = new Map<string, readonly AppliedAdapter[]>();
  #active: readonly { readonly name: string; readonly scale: number }[] = [];
  #isEnabled = true;

  get size(): number {
    return this.#named.size;
  }

  get names(): string[] {
    return [...this.#named.keys()];
  }

  get activeNames(): string[] {
    return this.#active.map(({ name }) => name);
  }

  /** What rows that are run now get; undefined: nothing. */
  get applied(): readonly AppliedAdapter[] | undefined {
    if (!this.#isEnabled || this.#active.length === 0) return undefined;
    const scales = new Map<HeldAdapter, number>();
    for (const { name, scale } of this.#active) {
      for (const part of this.#get(name)) {
        scales.set(part.held, (scales.get(part.held) ?? 0) + scale * part.scale);
      }
    }
    return [...scales].map(([held, scale]) => ({ held, scale }));
  }

  /** @throws PronkError "bad_request" when the name is taken. */
  checkNew(name: string): void {
    if (typeof name !== "string" || name === "") throw bad("adapter_name", "empty");
    if (this.#named.has(name)) throw bad("adapter_name", `${printable(name)} is there already`);
  }

  /** Loads an adapter; `name` was checked. */
  async add(
    runner: Runner,
    name: string,
    adapter: LoraAdapter,
    close: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const handle = await runner.loadAdapter(adapter, signal);
    this.#named.set(name, [{ held: { name, adapter, handle, close }, scale: 1 }]);
  }

  /** @throws PronkError "bad_request" for a name that is not there, twice, or a scale that is no number. */
  activate(choices: readonly AdapterChoice[]): void {
    const active = choices.map((choice) => {
      const name = typeof choice === "string" ? choice : (choice.name ?? choice.id);
      const scale = typeof choice === "string" ? 1 : (choice.scale ?? 1);
      if (!Number.isFinite(scale)) throw bad("scale", `${scale} of ${name} is no number`);
      this.#get(name);
      return { name, scale };
    });
    const names = active.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw bad("adapters", `${printable(twice)} is given twice`);
    this.#active = active;
    this.#isEnabled = true;
  }

  enable(isEnabled: boolean): void {
    this.#isEnabled = isEnabled;
  }

  /** The adapters that only this name needed leave the runner. @throws PronkError "bad_request" */
  async remove(runner: Runner, name: string): Promise<void> {
    const parts = this.#get(name);
    this.#named.delete(name);
    this.#active = this.#active.filter((other) => other.name !== name);
    const needed = new Set([...this.#named.values()].flat().map(({ held }) => held));
    for (const { held } of parts) {
      if (needed.has(held) || held.handle === undefined) continue;
      runner.unloadAdapter(held.handle);
      held.handle = undefined;
      await held.close();
    }
  }

  /** @throws PronkError "bad_request"; "unsupported" for another combination. */
  async addWeighted(runner: Runner, options: WeightedAdapterOptions): Promise<void> {
    const { adapters, weights, adapter_name: name, combination_type: type = "cat" } = options;
    this.checkNew(name);
    if (adapters.length === 0 || adapters.length !== weights.length) {
      throw bad("weights", `${weights.length} of ${adapters.length} adapters`);
    }
    if (!weights.every(Number.isFinite)) throw bad("weights", "one is no number");
    const parts = adapters.flatMap((own, i) =>
      this.#get(own).map(({ held, scale }) => ({ held, scale: scale * weights[i]! })),
    );
    if (type === "cat") {
      this.#named.set(name, parts);
      return;
    }
    if (type !== "linear") {
      const param = "combination_type";
      throw new PronkError("unsupported", `${param} ${type}; runs: cat, linear`, { param });
    }
    const combined = combineLinear(
      name,
      parts.map(({ held, scale }) => ({ adapter: held.adapter, weight: scale })),
    );
    await this.add(runner, name, combined, async () => {}, undefined);
  }

  #get(name: string): readonly AppliedAdapter[] {
    const found = this.#named.get(name);
    if (found) return found;
    const there = this.names.map(printable).join(", ") || "none";
    throw bad("adapter_name", `${printable(String(name))} is not loaded; there are: ${there}`);
  }
}
