/** The storages that a pickle names: each has one size, whatever views of it there are. */
import { PronkError } from "../../errors.ts";
import { printable } from "../printable.ts";
import type { TorchStorage } from "./globals.ts";
import type { PickleRules } from "./unpickle.ts";

/** Llama 3.1 405B in one file would take 150 KB. Bounds what a hostile file makes us read. */
export const MAX_PICKLE_BYTES: number = 16 * 1024 * 1024;

type TorchRules = Omit<PickleRules, "name" | "persistent"> & {
  persistent: (id: unknown) => TorchStorage;
};

export class StorageTable {
  readonly #name: string;
  readonly #storages = new Map<string, TorchStorage>();

  constructor(name: string) {
    this.#name = name;
  }

  get(key: string): TorchStorage | undefined {
    return this.#storages.get(key);
  }

  /** The rules, with each storage that they make noted. */
  rules(rules: TorchRules): PickleRules {
    const persistent = (id: unknown): TorchStorage => {
      const storage = rules.persistent(id);
      const known = this.#storages.get(storage.key) ?? storage;
      if (known.elements !== storage.elements || known.type !== storage.type) {
        const what = `${known.elements} of ${known.type}, and ${storage.elements} of ${storage.type}`;
        const place = `${this.#name}: storage ${printable(storage.key)}`;
        throw new PronkError("bad_format", `${place}: ${what}`);
      }
      this.#storages.set(storage.key, known);
      return storage;
    };
    return { ...rules, name: this.#name, persistent };
  }
}
