/**
 * Asset cards from folders of YAML files: the system's and the user's, where fairseq2 has them.
 *
 * Source: fairseq2/assets/dirs.py, fairseq2/assets/metadata_provider.py (0.8.1).
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { PronkError } from "../../errors.ts";
import type { AssetCard } from "../../hub/assets/asset-card.ts";
import { type AssetSource, AssetStore } from "../../hub/assets/asset-store.ts";
import { BUILTIN_CARDS } from "../../hub/assets/builtin-cards.ts";
import { parseAssetCards } from "../../hub/assets/parse-asset-cards.ts";
import type { Environment } from "./cache-folder.ts";

/** A folder with more is not one of cards. */
const MAX_FILES = 1000;

/** No card file is larger; the parser's own limit is lower. */
const MAX_FILE_BYTES = 1024 * 1024;

export interface AssetOptions {
  /** Cards of the program's own. */
  readonly cards?: readonly AssetCard[];
  /** Files, or folders whose .yaml and .yml files are read; they must be there. */
  readonly assets?: readonly string[];
  /** `NAME@ENVIRONMENT` cards that count, beside `NAME@user`. */
  readonly environment?: string;
}

/**
 * Built-in cards, those of the folders in FAIRSEQ2_ASSET_DIR and FAIRSEQ2_USER_ASSET_DIR (else
 * /etc/fairseq2/assets and ~/.config/fairseq2/assets, where they are), and the program's.
 *
 * @throws PronkError "not_found" when a named file or folder is not there; "bad_format" naming file
 *   and card; "bad_request" when two sources have a card of one name.
 */
export async function readAssets(options: AssetOptions, env: Environment): Promise<AssetStore> {
  const sources: AssetSource[] = [BUILTIN_CARDS];
  for (const folder of [systemFolder(env), userFolder(env)]) {
    const source = await readSource(folder);
    if (source) sources.push(source);
  }
  for (const path of options.assets ?? []) {
    const source = await readSource(resolve(path));
    if (!source) throw new PronkError("not_found", `${path}: no such file or folder of cards`);
    sources.push(source);
  }
  if (options.cards) sources.push({ name: "the program's cards", cards: options.cards });
  return new AssetStore(sources, options.environment);
}

function systemFolder(env: Environment): string {
  return resolve(env.FAIRSEQ2_ASSET_DIR || "/etc/fairseq2/assets");
}

function userFolder(env: Environment): string {
  if (env.FAIRSEQ2_USER_ASSET_DIR) return resolve(env.FAIRSEQ2_USER_ASSET_DIR);
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config");
  return join(resolve(config), "fairseq2", "assets");
}

async function readSource(path: string): Promise<AssetSource | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  const files = found.isDirectory() ? await cardFiles(path) : [path];
  const cards: AssetCard[] = [];
  for (const file of files) {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) throw new PronkError("bad_format", `${file}: ${size} bytes`);
    const text = await readFile(file, "utf8");
    cards.push(...parseAssetCards(text, { where: file, folder: dirname(file) }));
  }
  return { name: path, cards };
}

async function cardFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  const files = names.filter((name) => /\.ya?ml$/.test(name)).sort();
  if (files.length > MAX_FILES) {
    throw new PronkError("bad_format", `${folder}: ${files.length} files, more than ${MAX_FILES}`);
  }
  return files.map((name) => join(folder, name));
}
