/**
 * Where a card says that its files are, as the names that the rest of the package opens.
 *
 * Source: fairseq2/assets/card.py, fairseq2/models/family.py (0.8.1).
 */
import { PronkError } from "../../errors.ts";
import { parseModelReference } from "../model-reference.ts";
import type { AssetCard } from "./asset-card.ts";

/**
 * What a card's `checkpoint` or `tokenizer` names: a path, a URL, `hf:OWNER/REPO` or a known model.
 * `checkpoint_path` and `tokenizer_path` name something inside it.
 *
 * @throws PronkError "not_found" when it names nothing, since its weights are gated or to be supplied;
 *   "bad_format"; "unsupported".
 */
export function cardLocation(card: AssetCard, field: "checkpoint" | "tokenizer"): string {
  const value = card.text(field);
  if (value === undefined || /;gated=true$/i.test(value)) throw gated(card, field, value);
  const { folder } = card.holderOf(field) ?? card;
  const place = locate(card, field, value.trim(), folder);
  const inside = card.text(`${field}_path`);
  // Names of shards: `consolidated.{shard_idx:02d}.pth` stands for the folder that they are in.
  if (inside === undefined || inside.includes("shard_idx")) return withoutShards(place);
  const escapes = inside.startsWith("/") || inside.split(/[\\/]/).includes("..");
  if (escapes || /^(?:hf:|https?:)/.test(place)) {
    throw new PronkError(
      "bad_format",
      `asset card ${card.name}: ${field}_path ${inside}: not inside ${place}`,
    );
  }
  return join(place, inside);
}

function locate(card: AssetCard, field: string, value: string, folder?: string): string {
  const where = `asset card ${card.name}: ${field}`;
  if (value === "") throw new PronkError("bad_format", `${where}: is empty`);
  if (value.startsWith("hg://")) return checkedReference(`hf:${value.slice(5)}`, where);
  if (value.startsWith("hf:")) return checkedReference(value, where);
  if (value.startsWith("file://")) {
    if (!URL.canParse(value)) throw new PronkError("bad_format", `${where}: ${value}: not a URL`);
    return decodeURIComponent(new URL(value).pathname);
  }
  if (/^https?:\/\//.test(value)) return value;
  const [, scheme] = /^([a-z][a-z0-9+.-]+):\/\//i.exec(value) ?? [];
  if (scheme !== undefined) {
    throw new PronkError("unsupported", `${where}: ${scheme}:// cannot be read`);
  }
  if (/^(?:\/|[A-Za-z]:[\\/])/.test(value)) return value;
  if (parseModelReference(value).kind === "known") return value;
  if (folder === undefined) {
    throw new PronkError(
      "bad_format",
      `${where}: ${value}: a relative path, and the card is from no file that it could start from`,
    );
  }
  return join(folder, value);
}

function checkedReference(reference: string, where: string): string {
  try {
    parseModelReference(reference);
  } catch (cause) {
    throw new PronkError("bad_format", `${where}: ${(cause as Error).message}`, { cause });
  }
  return reference;
}

function withoutShards(place: string): string {
  return place.includes("shard_idx") ? place.replace(/[\\/][^\\/]*$/, "") : place;
}

function join(folder: string, path: string): string {
  return `${folder.replace(/[\\/]+$/, "")}/${path.replace(/^\.\//, "")}`;
}

/** The reason, and how the next call works. */
function gated(card: AssetCard, field: string, value: string | undefined): PronkError {
  const url = value?.replace(/;gated=true$/i, "") ?? card.text("url");
  const terms = url === undefined ? "" : ` Its terms and downloads: ${url}.`;
  return new PronkError(
    "not_found",
    `${card.name}: the card names no ${field}: the files are gated or yours to supply.${terms} ` +
      `Then add a card "name: ${card.name}@user" with "${field}: PATH, URL or hg://OWNER/REPO" to your asset folder`,
  );
}
