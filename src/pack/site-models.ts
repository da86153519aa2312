/**
 * The models that a page has beside it: `models.json`, a list of packs in folders of the same origin.
 *
 *   { "models": [{ "id": "smollm2-135m-instruct", "folder": "models/smollm2-135m-instruct",
 *                  "bytes": 99000000, "checksum": "…", "license": "Apache-2.0" }] }
 */
import { PronkError } from "../errors.ts";

export const MODELS_NAME = "models.json";

export interface SiteModel {
  /** What the model is called. */
  readonly id: string;
  /** Of its pack, relative to the list. */
  readonly folder: string;
  /** Of weights and tokenizer. */
  readonly bytes: number;
  /** Of the pack's manifest: a pack that is kept is this one, or it is another. */
  readonly checksum: string;
  /** SPDX expression, or the model's own words. */
  readonly license: string | null;
}

export interface SiteModels {
  readonly models: readonly SiteModel[];
}

/**
 * @param base of the page; folders of other origins are refused
 * @throws PronkError "bad_format".
 */
export function parseSiteModels(text: string, base: string): readonly SiteModel[] {
  const bad = (what: string): PronkError => new PronkError("bad_format", `${MODELS_NAME}: ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad("not JSON");
  }
  const models = (value as Partial<SiteModels> | null)?.models;
  if (!Array.isArray(models)) throw bad("models: expected a list");
  return models.map((model: Partial<SiteModel> | null, i) => {
    const { id, folder, bytes, checksum, license = null } = model ?? {};
    const wrong = (field: string, what: string): PronkError =>
      bad(`models[${i}].${field}: ${what}`);
    if (typeof id !== "string" || id === "") throw wrong("id", "expected a name");
    if (typeof folder !== "string" || !URL.canParse(folder, base)) {
      throw wrong("folder", "expected a folder");
    }
    if (new URL(folder, base).origin !== new URL(base).origin) {
      throw wrong("folder", `${folder} is of another origin`);
    }
    if (!Number.isSafeInteger(bytes)) throw wrong("bytes", "expected a number");
    if (typeof checksum !== "string" || !/^[0-9a-f]{64}$/.test(checksum)) {
      throw wrong("checksum", "expected a SHA-256");
    }
    if (license !== null && typeof license !== "string") throw wrong("license", "expected a text");
    return { id, folder, bytes: bytes as number, checksum, license };
  });
}
