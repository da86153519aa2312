/**
 * Asset cards from YAML, or JSON, which is YAML too: a document a card.
 *
 * Source: fairseq2/assets/metadata_provider.py (0.8.1).
 */
import { PronkError } from "../../errors.ts";
import { AssetCard } from "./asset-card.ts";
import { isMapping } from "./merge-config.ts";
import { parseYamlDocuments } from "./yaml-documents.ts";

export interface ParseAssetCardsOptions {
  /** For errors: the file. */
  readonly where?: string;
  /** What relative paths in the cards start from. */
  readonly folder?: string;
}

/**
 * The cards of a stream of documents, in order.
 *
 * @throws PronkError "bad_format" naming the document and what is wrong with it.
 */
export function parseAssetCards(text: string, options: ParseAssetCardsOptions = {}): AssetCard[] {
  const { where = "asset cards", folder } = options;
  return parseYamlDocuments(text, where).map((document, index) => {
    const bad = (why: string): PronkError =>
      new PronkError("bad_format", `${where}: card ${index + 1}: ${why}`);
    if (!isMapping(document)) throw bad("not a mapping");
    const { name, ...fields } = document;
    const metadata: Record<string, unknown> = fields;
    if (typeof name !== "string" || !name) throw bad("has no name");
    const parts = name.split("@").map((part) => part.trim());
    if (parts.length > 2 || parts[0] === "") throw bad(`${JSON.stringify(name)} is not a name`);
    const { base } = metadata;
    if (base !== undefined && base !== null) {
      if (typeof base !== "string" || base.includes("@") || base.trim() === "") {
        throw bad(`base: ${JSON.stringify(base)} is not the name of a card`);
      }
      metadata.base = base.trim();
    }
    return new AssetCard(parts[1] ? parts.join("@") : parts[0], metadata, { folder });
  });
}

/** The one card of a text. @throws PronkError "bad_format" */
export function parseAssetCard(text: string, options: ParseAssetCardsOptions = {}): AssetCard {
  const cards = parseAssetCards(text, options);
  if (cards.length !== 1) {
    throw new PronkError(
      "bad_format",
      `${options.where ?? "asset card"}: ${cards.length} cards, expected one`,
    );
  }
  return cards[0];
}
