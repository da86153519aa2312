/**
 * Models of the Llama family by the names of their asset cards. What loads a checkpoint is injected:
 * it needs a runtime's files and network.
 *
 * Source: fairseq2/models/hub.py (0.8.1).
 */
import { PronkError } from "../errors.ts";
import type { AssetCard } from "./assets/asset-card.ts";
import type { AssetStore } from "./assets/asset-store.ts";
import { cardLocation } from "./assets/card-location.ts";
import { isMapping } from "./assets/merge-config.ts";

export const LLAMA_FAMILY = "llama";

/** The spellings that fairseq2 has had for it, newest first. */
const CONFIG_KEYS = ["model_config_overrides", "model_config_override", "model_config"];

/** Configurations of a family, in fairseq2's fields. */
export interface ConfigTable<Config extends object> {
  /** By architecture: `llama3_2_1b`. */
  readonly archs: Readonly<Record<string, Config>>;
  /** What a card without an architecture starts from. */
  readonly defaults: Config;
  /** Checks what overrides made of one. @throws PronkError naming the field. */
  parse(data: Readonly<Record<string, unknown>>, where: string): Config;
}

/** What the loader is asked for. */
export interface ModelToLoad<Config> {
  /** What to call the model. */
  readonly name: string;
  /** A path, a URL, `hf:OWNER/REPO` or a known model. */
  readonly checkpoint: string;
  /** The card's; undefined for a checkpoint that describes itself. */
  readonly config: Config | undefined;
  /** Fields of `config` that a caller or a card set on purpose, beyond its architecture's. */
  readonly overridden: readonly string[];
  readonly card: AssetCard | undefined;
  /** How the card wants weights kept: `quant: int4`. */
  readonly quant: string | undefined;
  /** Of the checkpoint's file, in lower-case hex; of several files, one each by name. */
  readonly sha256: string | Readonly<Record<string, string>> | undefined;
}

/** Loads checkpoints; `Options` are the runtime's (signal, onProgress, backend, ...). */
export type ModelLoader<Model, Config, Options> = (
  wanted: ModelToLoad<Config>,
  options: Options,
) => Promise<Model>;

export interface LlamaModelHubParts<
  Model,
  Config extends object,
  Options,
  Engine = never,
  EngineOptions = Options,
> {
  /** Read on the first call that needs it: user's cards are files. */
  readonly store: () => Promise<AssetStore>;
  readonly configs: ConfigTable<Config>;
  readonly load: ModelLoader<Model, Config, Options>;
  /** What loadEngine gives; without it there is none. */
  readonly loadEngine?: ModelLoader<Engine, Config, EngineOptions>;
}

export class LlamaModelHub<
  Model,
  Config extends object,
  Options extends object,
  Engine = never,
  EngineOptions extends object = Options,
> {
  readonly #parts: LlamaModelHubParts<Model, Config, Options, Engine, EngineOptions>;
  #store: Promise<AssetStore> | undefined;

  constructor(parts: LlamaModelHubParts<Model, Config, Options, Engine, EngineOptions>) {
    this.#parts = parts;
  }

  /** The cards of this family, in the order of their sources. */
  async iterCards(): Promise<AssetCard[]> {
    return (await this.#cards()).findCards("model_family", LLAMA_FAMILY);
  }

  /** Names for loadModel. A card that others are based on may name no checkpoint. */
  async listModels(): Promise<string[]> {
    return (await this.iterCards()).map(({ name }) => name);
  }

  /** @param name `NAME` or `NAME@ENV`. @throws PronkError "not_found" */
  async getCard(name: string): Promise<AssetCard> {
    return (await this.#cards()).retrieveCard(name);
  }

  getArchs(): Set<string> {
    return new Set(Object.keys(this.#parts.configs.archs));
  }

  /** A copy, to be changed for a custom model. @throws PronkError "not_found" */
  getArchConfig(arch: string): Config {
    const config = this.maybeGetArchConfig(arch);
    if (config !== undefined) return config;
    const archs = [...this.getArchs()].join(", ");
    throw new PronkError("not_found", `${arch}: no llama architecture; there are ${archs}`);
  }

  maybeGetArchConfig(arch: string): Config | undefined {
    const { archs, parse } = this.#parts.configs;
    if (!Object.hasOwn(archs, arch)) return undefined;
    return parse(structuredClone({ ...archs[arch] }) as Record<string, unknown>, arch);
  }

  /** The card's architecture with the card's overrides. @throws PronkError */
  async getModelConfig(card: AssetCard | string): Promise<Config> {
    return this.#configOf(await this.#familyCard(card));
  }

  /**
   * Loads the model that a card names.
   *
   * @param options `config` in place of the card's; the rest is the runtime's.
   * @throws PronkError "not_found" for an unknown card, and for one whose weights are gated, with
   *   where they are to be had; as loading the checkpoint does.
   */
  async loadModel(
    card: AssetCard | string,
    options: Options & { readonly config?: Config } = {} as Options,
  ): Promise<Model> {
    return this.#parts.load(await this.#wanted(card, options.config), options);
  }

  /**
   * The same model as what serves many callers at once.
   *
   * @throws PronkError as loadModel; "unsupported" where the hub was made without it.
   */
  async loadEngine(
    card: AssetCard | string,
    options: EngineOptions & { readonly config?: Config } = {} as EngineOptions,
  ): Promise<Engine> {
    const { loadEngine } = this.#parts;
    if (!loadEngine) throw new PronkError("unsupported", "this hub has no engines");
    return loadEngine(await this.#wanted(card, options.config), options);
  }

  /**
   * Loads a checkpoint that no card names.
   *
   * @param path a path, URL, `hf:OWNER/REPO` or known model.
   * @param config what it was trained as; a difference from what the checkpoint says is an error.
   */
  async loadCustomModel(
    path: string,
    config: Config,
    options: Options = {} as Options,
  ): Promise<Model> {
    const overridden = Object.keys(config);
    const name = path.split("/").at(-1) || path;
    return this.#parts.load(
      {
        ...{ name, checkpoint: path, config, overridden, card: undefined },
        ...{ quant: undefined, sha256: undefined },
      },
      options,
    );
  }

  async #wanted(card: AssetCard | string, given?: Config): Promise<ModelToLoad<Config>> {
    const found = await this.#familyCard(card);
    const own = this.#configOf(found);
    const config = given ?? own;
    return {
      name: found.name,
      checkpoint: cardLocation(found, "checkpoint"),
      config,
      overridden: changedFields(this.#archOf(found) ?? this.#parts.configs.defaults, config),
      card: found,
      quant: found.text("quant"),
      sha256: hashesOf(found),
    };
  }

  #cards(): Promise<AssetStore> {
    this.#store ??= this.#parts.store().catch((error: unknown) => {
      this.#store = undefined; // a card that was mended is read again
      throw error;
    });
    return this.#store;
  }

  async #familyCard(card: AssetCard | string): Promise<AssetCard> {
    const found = typeof card === "string" ? await this.getCard(card) : card;
    const family = found.text("model_family");
    if (family === LLAMA_FAMILY) return found;
    const why = family === undefined ? "has no model_family" : `model_family is ${family}`;
    throw new PronkError("unsupported", `asset card ${found.name}: ${why}; runs: ${LLAMA_FAMILY}`);
  }

  #archOf(card: AssetCard): Config | undefined {
    const arch = card.text("model_arch");
    return arch === undefined ? undefined : this.getArchConfig(arch);
  }

  #configOf(card: AssetCard): Config {
    const { configs } = this.#parts;
    const base = this.#archOf(card) ?? structuredClone(configs.defaults);
    const merged = card.mergeOverrides(base as Readonly<Record<string, unknown>>, CONFIG_KEYS);
    return configs.parse(merged, `asset card ${card.name}: model_config`);
  }
}

/** A base's hash is that of the base's checkpoint: one that names another needs another. */
function hashesOf(card: AssetCard): ModelToLoad<object>["sha256"] {
  const chain = card.chain();
  const holder = card.holderOf("sha256");
  const weights = card.holderOf("checkpoint") ?? card.holderOf("checkpoint_path");
  if (!holder || (weights && chain.indexOf(holder) < chain.indexOf(weights))) return undefined;
  const value = holder.metadata.sha256;
  const isHash = (one: unknown): boolean => typeof one === "string" && /^[0-9a-f]{64}$/.test(one);
  const isTable = isMapping(value) && Object.values(value).every(isHash);
  if (isHash(value) || isTable) return value as string | Record<string, string>;
  const what = `asset card ${card.name}: sha256: neither 64 lower-case hex digits nor those of files`;
  throw new PronkError("bad_format", what);
}

function changedFields(from: object, to: object): string[] {
  const before = new Map(Object.entries(from));
  return Object.entries(to)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(before.get(key)))
    .map(([key]) => key);
}
