/**
 * Tokenizers of the Llama family by the names of their asset cards; what reads their files is
 * injected.
 *
 * Source: fairseq2/data/tokenizers/hub.py, fairseq2/data/tokenizers/ref.py (0.8.1).
 */
import { PronkError } from "../errors.ts";
import type { AssetCard } from "./assets/asset-card.ts";
import type { AssetStore } from "./assets/asset-store.ts";
import { cardLocation } from "./assets/card-location.ts";
import { LLAMA_FAMILY } from "./llama-model-hub.ts";

/** The spellings that fairseq2 has had for it, newest first. */
const CONFIG_KEYS = ["tokenizer_config_overrides", "tokenizer_config_override", "tokenizer_config"];

/** Cards that stand for another: more are a cycle. */
const MAX_REFERENCES = 16;

/** fairseq2's LLaMATokenizerConfig. */
export interface TokenizerSettings {
  /** A Hugging Face directory, a tiktoken file, a SentencePiece file. */
  readonly impl: "hg" | "tiktoken" | "sp";
  /** `<|eot_id|>` ends a text instead of `<|end_of_text|>`. */
  readonly use_eot: boolean;
  /** How tiktoken splits words, in place of Llama 3's own pattern. */
  readonly split_regex: string | null;
}

/** As in fairseq2's code; its pages say "hg", which holds for directories (`settingsFor`). */
export const TOKENIZER_DEFAULTS: TokenizerSettings = {
  impl: "sp",
  use_eot: false,
  split_regex: null,
};

/** Bytes, bytes by file name, or where they are. */
export type TokenizerFiles = string | URL | Uint8Array | Readonly<Record<string, Uint8Array>>;

export interface TokenizerToLoad {
  readonly name: string;
  readonly files: TokenizerFiles;
  readonly config: TokenizerSettings;
  /** Whether a card or a caller says which `impl`. */
  readonly hasImpl: boolean;
}

/** The settings by what the files are: a directory, of which nothing says more, can only be Hugging Face's. */
export function settingsFor(
  { config, hasImpl }: Pick<TokenizerToLoad, "config" | "hasImpl">,
  isDirectory: boolean,
): TokenizerSettings {
  return isDirectory && !hasImpl ? { ...config, impl: "hg" } : config;
}

export type TokenizerLoader<LoadedTokenizer, Options> = (
  wanted: TokenizerToLoad,
  options: Options,
) => Promise<LoadedTokenizer>;

export interface LlamaTokenizerHubParts<LoadedTokenizer, Options> {
  readonly store: () => Promise<AssetStore>;
  readonly load: TokenizerLoader<LoadedTokenizer, Options>;
}

export class LlamaTokenizerHub<LoadedTokenizer, Options extends object> {
  readonly #parts: LlamaTokenizerHubParts<LoadedTokenizer, Options>;
  #store: Promise<AssetStore> | undefined;

  constructor(parts: LlamaTokenizerHubParts<LoadedTokenizer, Options>) {
    this.#parts = parts;
  }

  async iterCards(): Promise<AssetCard[]> {
    return (await this.#cards()).findCards("tokenizer_family", LLAMA_FAMILY);
  }

  async listTokenizers(): Promise<string[]> {
    return (await this.iterCards()).map(({ name }) => name);
  }

  /** @throws PronkError "not_found" */
  async getCard(name: string): Promise<AssetCard> {
    return (await this.#cards()).retrieveCard(name);
  }

  /** @throws PronkError "bad_format" on a setting that there is not. */
  async getTokenizerConfig(card: AssetCard | string): Promise<TokenizerSettings> {
    return configOf(await this.#familyCard(card));
  }

  /**
   * Loads the tokenizer that a card names, or the card that its `tokenizer_ref` names.
   *
   * @throws PronkError "not_found" for an unknown card or one that names no files; as the loader.
   */
  async loadTokenizer(
    card: AssetCard | string,
    options: Options & { readonly config?: Partial<TokenizerSettings> } = {} as Options,
  ): Promise<LoadedTokenizer> {
    const found = await this.#familyCard(card);
    const config = options.config ? checkSettings(options.config, "config") : configOf(found);
    const hasImpl = (options.config ?? found.mergeOverrides({}, CONFIG_KEYS)).impl !== undefined;
    const files = cardLocation(found, "tokenizer");
    return this.#parts.load({ name: found.name, files, config, hasImpl }, options);
  }

  /** @param files a tokenizer file, or a directory for "hg". */
  async loadCustomTokenizer(
    files: TokenizerFiles,
    config: Partial<TokenizerSettings>,
    options: Options = {} as Options,
  ): Promise<LoadedTokenizer> {
    const name = typeof files === "string" || files instanceof URL ? String(files) : "tokenizer";
    const checked = checkSettings(config, "config");
    const hasImpl = config.impl !== undefined;
    return this.#parts.load({ name, files, config: checked, hasImpl }, options);
  }

  #cards(): Promise<AssetStore> {
    this.#store ??= this.#parts.store().catch((error: unknown) => {
      this.#store = undefined; // a card that was mended is read again
      throw error;
    });
    return this.#store;
  }

  async #familyCard(card: AssetCard | string): Promise<AssetCard> {
    const asked = typeof card === "string" ? await this.getCard(card) : card;
    const found = await this.#followReferences(asked);
    const family = found.text("tokenizer_family");
    if (family === LLAMA_FAMILY) return found;
    const why = family === undefined ? "has no tokenizer_family" : `tokenizer_family is ${family}`;
    throw new PronkError("unsupported", `asset card ${found.name}: ${why}; runs: ${LLAMA_FAMILY}`);
  }

  async #followReferences(card: AssetCard): Promise<AssetCard> {
    let found = card;
    for (let step = 0; step < MAX_REFERENCES; step++) {
      const reference = found.text("tokenizer_ref");
      if (reference === undefined) return found;
      const next = (await this.#cards()).maybeRetrieveCard(reference);
      if (next === undefined) {
        const why = `tokenizer_ref ${reference}: no such asset card`;
        throw new PronkError("not_found", `asset card ${found.name}: ${why}`);
      }
      found = next;
    }
    throw new PronkError("bad_format", `asset card ${card.name}: tokenizer_ref without end`);
  }
}

function configOf(card: AssetCard): TokenizerSettings {
  const merged = card.mergeOverrides({ ...TOKENIZER_DEFAULTS }, CONFIG_KEYS);
  return checkSettings(merged, `asset card ${card.name}: tokenizer_config`);
}

const IMPLEMENTATIONS = ["hg", "tiktoken", "sp"] as const;

/** @throws PronkError "bad_format" */
function checkSettings(
  data: Readonly<Record<string, unknown>> | Partial<TokenizerSettings>,
  where: string,
): TokenizerSettings {
  const bad = (field: string, value: unknown, wanted: string): PronkError =>
    new PronkError("bad_format", `${where}: ${field}: ${JSON.stringify(value)} is not ${wanted}`);
  const known = Object.keys(TOKENIZER_DEFAULTS);
  const unknown = Object.keys(data).find((field) => !known.includes(field));
  if (unknown !== undefined) {
    throw new PronkError("bad_format", `${where}: no field ${unknown}; there are ${known}`);
  }
  const { impl, use_eot, split_regex }: Record<string, unknown> = {
    ...TOKENIZER_DEFAULTS,
    ...Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined)),
  };
  const implementation = IMPLEMENTATIONS.find((name) => name === impl);
  if (implementation === undefined) throw bad("impl", impl, `one of ${IMPLEMENTATIONS.join(", ")}`);
  if (typeof use_eot !== "boolean") throw bad("use_eot", use_eot, "true or false");
  if (split_regex !== null && typeof split_regex !== "string") {
    throw bad("split_regex", split_regex, "a pattern");
  }
  return { impl: implementation, use_eot, split_regex };
}
