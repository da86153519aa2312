/**
 * Cards of all sources by name. A card `NAME@ENV` replaces fields of `NAME` in that environment;
 * "user" is always one, and comes before the given one.
 *
 * Source: fairseq2/assets/store.py (0.8.1).
 */
import { PronkError } from "../../errors.ts";
import { AssetCard } from "./asset-card.ts";

/** Cards that are from one place. */
export interface AssetSource {
  /** For errors: a folder, "built-in". */
  readonly name: string;
  readonly cards: readonly AssetCard[];
}

export class AssetStore {
  readonly #cards = new Map<string, AssetCard>();
  readonly #environments: readonly string[];

  /**
   * @param environment also looked up, as in `NAME@ENVIRONMENT`.
   * @throws PronkError "bad_request" when two sources, or one, have a card of the same name twice.
   */
  constructor(sources: readonly AssetSource[], environment?: string) {
    const named = environment?.trim();
    this.#environments = named ? ["user", named] : ["user"];
    const owners = new Map<string, string>();
    for (const { name: source, cards } of sources) {
      for (const card of cards) {
        const owner = owners.get(card.name);
        if (owner !== undefined) {
          const both = owner === source ? `twice in ${source}` : `in both ${owner} and ${source}`;
          throw new PronkError(
            "bad_request",
            `asset card ${card.name}: ${both}; to change fields of a card, name yours ${card.name.split("@")[0]}@user`,
          );
        }
        owners.set(card.name, source);
        this.#cards.set(card.name, card);
      }
    }
  }

  /** Every name, with environments as they were written. */
  get assetNames(): string[] {
    return [...this.#cards.keys()];
  }

  /**
   * @param name `NAME`; `NAME@ENV` for that environment instead of the usual ones; `NAME@` for none.
   * @throws PronkError "not_found"; "bad_format" when its bases do not end.
   */
  retrieveCard(name: string): AssetCard {
    const card = this.maybeRetrieveCard(name);
    if (card === undefined) {
      throw new PronkError("not_found", `${name}: no such asset card${this.#similar(name)}`);
    }
    return card;
  }

  maybeRetrieveCard(name: string): AssetCard | undefined {
    const at = name.indexOf("@");
    if (at < 0) return this.#retrieve(name.trim(), this.#environments, []);
    const environment = name.slice(at + 1).trim();
    return this.#retrieve(name.slice(0, at).trim(), environment ? [environment] : [], []);
  }

  /** Cards with this value of a field, their bases' fields included. */
  findCards(field: string, value: unknown): AssetCard[] {
    return this.assetNames
      .filter((name) => !name.includes("@"))
      .map((name) => this.retrieveCard(name))
      .filter((card) => card.maybeGetField(field) === value);
  }

  #retrieve(
    name: string,
    environments: readonly string[],
    above: readonly string[],
  ): AssetCard | undefined {
    const own = this.#cards.get(name);
    if (own === undefined) {
      if (above.length === 0) return undefined;
      throw new PronkError("not_found", `asset card ${above[0]}: its base ${name} does not exist`);
    }
    if (above.includes(name)) {
      const cycle = [...above, name].join(" > ");
      throw new PronkError("bad_format", `asset card ${above[0]}: bases without end: ${cycle}`);
    }
    const found = environments.map((environment) => this.#cards.get(`${name}@${environment}`));
    const override = found.find((card) => card !== undefined);
    const metadata = { ...own.metadata, ...override?.metadata };
    const base =
      typeof metadata.base === "string"
        ? this.#retrieve(metadata.base, environments, [...above, name])
        : undefined;
    return new AssetCard(name, metadata, { base, folder: override?.folder ?? own.folder });
  }

  #similar(name: string): string {
    const start = name.split(/[@_]/)[0];
    const names = this.assetNames.filter((other) => !other.includes("@"));
    const near = names.filter((other) => other.startsWith(start) && start !== "");
    return `; there are ${(near.length > 0 ? near : names).join(", ")}`;
  }
}
