/**
 * An asset card: what is known of a model or tokenizer by name. A field that a card lacks is that of
 * its base, and so on down the chain.
 *
 * Source: fairseq2/assets/card.py (0.8.1).
 */
import { PronkError } from "../../errors.ts";
import { isMapping, mergeConfig } from "./merge-config.ts";

export type AssetMetadata = Readonly<Record<string, unknown>>;

export class AssetCard {
  /** As it was written: `llama3_2_1b`, `llama3_2_1b@user`. */
  readonly name: string;
  /** The card's own fields, without its base's. */
  readonly metadata: AssetMetadata;
  readonly base: AssetCard | undefined;
  /** The folder that relative paths in its fields start from; undefined: none is known. */
  readonly folder: string | undefined;

  constructor(
    name: string,
    metadata: AssetMetadata,
    { base, folder }: { base?: AssetCard | undefined; folder?: string | undefined } = {},
  ) {
    this.name = name;
    this.metadata = metadata;
    this.base = base;
    this.folder = folder;
  }

  /** @throws PronkError "not_found" when neither the card nor its bases have it. */
  field(name: string): unknown {
    const value = this.maybeGetField(name);
    if (value === undefined) {
      throw new PronkError("not_found", `asset card ${this.name}: has no field ${name}`);
    }
    return value;
  }

  maybeGetField(name: string): unknown {
    return this.holderOf(name)?.metadata[name];
  }

  hasField(name: string): boolean {
    return this.holderOf(name) !== undefined;
  }

  /** The card of the chain that a field is from. */
  holderOf(name: string): AssetCard | undefined {
    let card: AssetCard | undefined = this;
    while (card !== undefined && !Object.hasOwn(card.metadata, name)) card = card.base;
    return card;
  }

  /** @throws PronkError "bad_format" when the field is there and no text. */
  text(name: string): string | undefined {
    const value = this.maybeGetField(name);
    if (value === undefined || typeof value === "string") return value;
    throw new PronkError(
      "bad_format",
      `asset card ${this.name}: ${name}: ${JSON.stringify(value)} is not a text`,
    );
  }

  /** The cards from the first base to this one. */
  chain(): AssetCard[] {
    const cards: AssetCard[] = [];
    for (let card: AssetCard | undefined = this; card !== undefined; card = card.base) {
      cards.unshift(card);
    }
    return cards;
  }

  /**
   * Overrides of a configuration, merged from the first base to this card. A field may have several
   * spellings; where a card has two, the first of `keys` counts last.
   *
   * @param keys `["tokenizer_config_overrides", "tokenizer_config_override", "tokenizer_config"]`
   * @throws PronkError "bad_format"
   */
  mergeOverrides(
    config: Readonly<Record<string, unknown>>,
    keys: readonly string[],
  ): Record<string, unknown> {
    let merged: Record<string, unknown> = { ...config };
    for (const card of this.chain()) {
      for (const key of [...keys].reverse()) {
        const overrides = card.metadata[key];
        if (overrides === undefined || overrides === null) continue;
        const where = `asset card ${card.name}: ${key}`;
        if (!isMapping(overrides)) throw new PronkError("bad_format", `${where}: not a mapping`);
        merged = mergeConfig(merged, overrides, where);
      }
    }
    return merged;
  }
}
