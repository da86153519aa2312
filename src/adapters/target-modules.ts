/**
 * Which modules an adapter's configuration names, and with which rank and alpha, by PEFT's own rules. Names are those of
 * the model that it was trained on: `model.layers.0.self_attn.q_proj`, `lm_head`.
 *
 * Source: check_target_module_exists (peft/tuners/tuners_utils.py), get_pattern_key (peft/utils/other.py), 0.21.
 */
import { PronkError } from "../errors.ts";
import type { LoraConfig } from "./lora-config.ts";
import { type ModulePattern, modulePattern } from "./module-pattern.ts";

/** In front of the question answering head PEFT saves other names; these are all of the heads. */
const HEADS = ["lm_head", "score", "qa_outputs"];

const ALL_LINEAR = "all-linear";

/** Numbers of layers are compared as numbers, and no model has more digits. */
const LAYER = /^.*?\.[^.]*\.(\d+)\./;

/** Names of modules, of which there may be one for each: as EVA saves them. */
const PLAIN = /^[\w.]+$/;

/** Bounds the time that a hostile file takes; real ones have a few. */
const MAX_EXPRESSIONS = 256;

export class TargetModules {
  readonly #config: LoraConfig;
  readonly #targets: ((name: string) => boolean) | undefined;
  readonly #excluded: (name: string) => boolean;
  readonly #saved: readonly ModulePattern[];
  readonly #layerOf: (name: string) => number | undefined;
  readonly #ranks: readonly (readonly [ModulePattern, number])[];
  readonly #alphas: readonly (readonly [ModulePattern, number])[];

  /** @throws PronkError "bad_format", "unsupported" naming the pattern. */
  constructor(config: LoraConfig, where: string) {
    this.#config = config;
    const named = (field: "target_modules" | "exclude_modules"): ((name: string) => boolean) => {
      const names = config[field];
      if (typeof names === "string") return modulePattern(names, `${where}: ${field}`);
      return (name) => names?.some((own) => name === own || name.endsWith(`.${own}`)) ?? false;
    };
    const { target_modules: targets } = config;
    if (typeof targets === "string" && targets.toLowerCase() === ALL_LINEAR) {
      this.#targets = (name) => !HEADS.includes(name) && name.endsWith("_proj");
    } else if (targets !== null) this.#targets = named("target_modules");
    this.#excluded = named("exclude_modules");
    this.#saved = config.modules_to_save.map((name) =>
      modulePattern(`(.*\\.)?(${name})(\\..*)?`, `${where}: modules_to_save`),
    );
    this.#layerOf = layerFinder(config.layers_pattern, where);
    const patterns = (
      field: "rank_pattern" | "alpha_pattern",
    ): (readonly [ModulePattern, number])[] => {
      const expressions = [...config[field].keys()].filter((key) => !PLAIN.test(key));
      if (expressions.length > MAX_EXPRESSIONS) {
        const what = `${expressions.length} expressions, at most ${MAX_EXPRESSIONS}`;
        throw new PronkError("unsupported", `${where}: ${field}: ${what}`);
      }
      return [...config[field]].map(([key, value]) => [
        PLAIN.test(key) ? endsWith(key) : modulePattern(`(.*\\.)?(${key})`, `${where}: ${field}`),
        value,
      ]);
    };
    this.#ranks = patterns("rank_pattern");
    this.#alphas = patterns("alpha_pattern");
  }

  /** Whether the configuration gives this module factors. */
  has(name: string): boolean {
    const { layers_to_transform: layers, target_modules: targets } = this.#config;
    if (this.#excluded(name) || this.#saved.some((matches) => matches(name))) return false;
    if (this.#targets?.(name) === false) return false;
    if (layers === null || typeof targets === "string") return true;
    const layer = this.#layerOf(name);
    return layer !== undefined && layers.includes(layer);
  }

  rankOf(name: string): number {
    return this.#ranks.find(([matches]) => matches(name))?.[1] ?? this.#config.r;
  }

  /** What the product of the factors is multiplied with: alpha / r, or alpha / sqrt(r). */
  scalingOf(name: string): number {
    const { use_rslora, lora_alpha } = this.#config;
    const alpha = this.#alphas.find(([matches]) => matches(name))?.[1] ?? lora_alpha;
    const rank = this.rankOf(name);
    return alpha / (use_rslora ? Math.sqrt(rank) : rank);
  }
}

/** As the expression `(.*\.)?(key)`, in which a dot of the key stands for any character. */
function endsWith(key: string): ModulePattern {
  return (name) => {
    const from = name.length - key.length;
    if (from < 0 || (from > 0 && name[from - 1] !== ".")) return false;
    for (let i = key.length - 1; i >= 0; i--) {
      if (key[i] !== "." && key[i] !== name[from + i]) return false;
    }
    return true;
  };
}

/** The number after the first part of a name that matches one of the patterns; without patterns, after any. */
function layerFinder(
  patterns: readonly string[],
  where: string,
): (name: string) => number | undefined {
  if (patterns.length === 0) {
    return (name) => {
      const found = LAYER.exec(name)?.[1];
      return found === undefined ? undefined : Number(found);
    };
  }
  const before = patterns.map((pattern) =>
    modulePattern(`(.*\\.)?(${pattern})`, `${where}: layers_pattern`),
  );
  return (name) => {
    const parts = name.split(".");
    for (const matches of before) {
      for (let i = 1; i < parts.length - 1; i++) {
        if (/^\d+$/.test(parts[i]) && matches(parts.slice(0, i).join("."))) return Number(parts[i]);
      }
    }
    return undefined;
  };
}
