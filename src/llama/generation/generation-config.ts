/**
 * GenerationConfig of transformers 4.57 (generation/configuration_utils.py): the same fields, defaults
 * and refusals. Fields that nobody knows are kept, so that a file comes back as it was.
 */
import { GENERATION_DEFAULTS, type GenerationFields } from "./generation-fields.ts";
import { validateGenerationConfig } from "./validate-config.ts";

/** How tokens are chosen. */
export type GenerationMode =
  | "greedy_search"
  | "sample"
  | "beam_search"
  | "beam_sample"
  | "assisted_generation"
  | "contrastive_search"
  | "dola_generation"
  | "group_beam_search"
  | "constrained_beam_search";

// The fields of the interface are the class's, too: it assigns them all.
export interface GenerationConfig extends GenerationFields {}
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: Object.assign in the constructor sets every field
export class GenerationConfig {
  /** @throws PronkError "bad_request" naming the field that no value of it can stand beside. */
  constructor(fields: Partial<GenerationFields> & Readonly<Record<string, unknown>> = {}) {
    const given = Object.entries(fields).filter(([, value]) => value !== undefined);
    Object.assign(this, structuredClone({ ...GENERATION_DEFAULTS, ...Object.fromEntries(given) }));
    this.validate();
  }

  /** From the content of generation_config.json. @throws PronkError "bad_request". */
  static fromDict(
    data: Readonly<Record<string, unknown>>,
    changes: Partial<GenerationFields> = {},
  ): GenerationConfig {
    return new GenerationConfig({ ...data, ...changes });
  }

  /** The generation settings that old checkpoints keep in config.json: those that are not null. */
  static fromModelConfig(config: Readonly<Record<string, unknown>>): GenerationConfig {
    const known = Object.entries(config).filter(
      ([name, value]) => name in GENERATION_DEFAULTS && value !== null,
    );
    return new GenerationConfig(Object.fromEntries(known));
  }

  /**
   * Changes known fields and returns the others.
   *
   * @throws PronkError "bad_request" as the constructor; then some fields may have changed.
   */
  update(changes: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const unused: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) continue;
      if (name in this && name in GENERATION_DEFAULTS) Object.assign(this, { [name]: value });
      else unused[name] = value;
    }
    this.validate();
    return unused;
  }

  /**
   * Checks the fields against each other.
   *
   * @returns what is allowed and has no effect, by field.
   * @throws PronkError "bad_request"; with `strict` also for those.
   */
  validate(strict = false): Map<string, string> {
    return validateGenerationConfig(this, strict);
  }

  /** Which method these fields choose. */
  getGenerationMode(hasAssistant = false): GenerationMode {
    const assisted =
      hasAssistant || this.prompt_lookup_num_tokens !== null || this.assistant_early_exit !== null;
    const mode = this.#baseMode();
    if (mode !== "greedy_search" && mode !== "sample") return mode;
    if (this.dola_layers !== null) return "dola_generation";
    return assisted ? "assisted_generation" : mode;
  }

  #baseMode(): GenerationMode {
    if (this.constraints !== null || this.force_words_ids !== null) {
      return "constrained_beam_search";
    }
    if (this.num_beams === 1) {
      if (this.do_sample) return "sample";
      const contrastive = (this.top_k ?? 0) > 1 && (this.penalty_alpha ?? 0) > 0;
      return contrastive ? "contrastive_search" : "greedy_search";
    }
    if (this.num_beam_groups > 1) return "group_beam_search";
    return this.do_sample ? "beam_sample" : "beam_search";
  }

  /** All fields. */
  toDict(): Record<string, unknown> {
    return structuredClone({ ...(this as GenerationFields) }) as unknown as Record<string, unknown>;
  }

  /** The fields that are not at their defaults, as generation_config.json has them. */
  toDiffDict(): Record<string, unknown> {
    const defaults: Readonly<Record<string, unknown>> = { ...GENERATION_DEFAULTS };
    return Object.fromEntries(
      Object.entries(this.toDict()).filter(
        ([name, value]) =>
          !(name in defaults) || JSON.stringify(value) !== JSON.stringify(defaults[name]),
      ),
    );
  }

  /** The text of generation_config.json. */
  toJsonString(useDiff = true): string {
    const data = useDiff ? this.toDiffDict() : this.toDict();
    const sorted = Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));
    return `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`;
  }
}
