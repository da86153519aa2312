/**
 * LlamaConfig with every field of Hugging Face's, its defaults (those of LLaMA-7B), and keys that it does not know kept.
 * What decides the arithmetic is checked as models check it.
 *
 * Source: transformers 4.57, configuration_llama.py and configuration_utils.py.
 */
import { PronkError } from "../errors.ts";
import { type OutputFolder, writeWhole } from "../formats/output-file.ts";
import { type LlamaConfig as ModelConfig, parseLlamaConfig } from "../model/config.ts";
import { LLAMA_SIZES } from "../model/presets.ts";

/** Fields as config.json has them; others are kept as they are. */
export interface LlamaConfigFields {
  vocab_size?: number;
  hidden_size?: number;
  intermediate_size?: number;
  num_hidden_layers?: number;
  num_attention_heads?: number;
  num_key_value_heads?: number | null;
  hidden_act?: string;
  max_position_embeddings?: number;
  initializer_range?: number;
  rms_norm_eps?: number;
  use_cache?: boolean;
  /** -1, as in the original code, is none. */
  pad_token_id?: number | null;
  bos_token_id?: number | null;
  eos_token_id?: number | readonly number[] | null;
  pretraining_tp?: number;
  tie_word_embeddings?: boolean;
  rope_theta?: number;
  rope_scaling?: Readonly<Record<string, unknown>> | null;
  /** As transformers 5 has both. */
  rope_parameters?: Readonly<Record<string, unknown>> | null;
  attention_bias?: boolean;
  attention_dropout?: number;
  mlp_bias?: boolean;
  head_dim?: number | null;
  num_labels?: number;
  id2label?: Readonly<Record<string, string>> | null;
  label2id?: Readonly<Record<string, number>> | null;
  readonly [key: string]: unknown;
}

const CONFIG_NAME = "config.json";

/** Takes a whole file. */
type ConfigSink = (name: string, bytes: Uint8Array) => void | Promise<void>;

/** Of a configuration that says nothing of labels. */
const DEFAULT_LABELS = 2;

/** Bounds what a hostile file can make us list. */
const MAX_LABELS = 1_000_000;

export class LlamaConfig {
  readonly model_type = "llama";
  vocab_size: number;
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  hidden_act: string;
  max_position_embeddings: number;
  /** For weights that are made at random. */
  initializer_range: number;
  rms_norm_eps: number;
  /** Whether a forward pass gives its cache back. */
  use_cache: boolean;
  pad_token_id: number | null;
  bos_token_id: number | null;
  eos_token_id: number | readonly number[] | null;
  pretraining_tp: number;
  tie_word_embeddings: boolean;
  rope_theta: number;
  rope_scaling: Readonly<Record<string, unknown>> | null;
  attention_bias: boolean;
  /** Kept; nothing is trained here. */
  attention_dropout: number;
  mlp_bias: boolean;
  head_dim: number;
  id2label: Readonly<Record<string, string>>;
  label2id: Readonly<Record<string, number>>;
  /** What else there was, under its own names. */
  readonly extra: Readonly<Record<string, unknown>>;

  /**
   * @param where for errors.
   * @throws PronkError "bad_format" naming the field and its value; "unsupported" for activations, rotary scalings
   *   and models that do not run.
   */
  constructor(fields: LlamaConfigFields = {}, where = "LlamaConfig") {
    const given = { ...DEFAULTS, ...withoutUndefined(fields) };
    const model = parseLlamaConfig(given, where);
    const check = new FieldCheck(given, where);
    this.vocab_size = model.vocab_size;
    this.hidden_size = model.hidden_size;
    this.intermediate_size = model.intermediate_size;
    this.num_hidden_layers = model.num_hidden_layers;
    this.num_attention_heads = model.num_attention_heads;
    this.num_key_value_heads = model.num_key_value_heads;
    this.hidden_act = check.text("hidden_act", "silu");
    this.max_position_embeddings = model.max_position_embeddings;
    this.initializer_range = check.number("initializer_range", 0.02, Number.POSITIVE_INFINITY);
    this.rms_norm_eps = model.rms_norm_eps;
    this.use_cache = check.flag("use_cache", true);
    this.pad_token_id = given.pad_token_id === -1 ? null : check.id("pad_token_id");
    this.bos_token_id = check.id("bos_token_id");
    this.eos_token_id = check.ids("eos_token_id");
    this.pretraining_tp = model.pretraining_tp ?? 1;
    this.tie_word_embeddings = model.tie_word_embeddings;
    this.rope_theta = model.rope_theta;
    this.rope_scaling = scalingOf(given);
    this.attention_bias = model.attention_bias;
    this.attention_dropout = check.number("attention_dropout", 0, 1);
    this.mlp_bias = model.mlp_bias;
    this.head_dim = model.head_dim;
    this.id2label = check.labels();
    this.label2id = check.labelIds(this.id2label);
    const { model_type: _, num_labels: __, ...rest } = given as Record<string, unknown>;
    this.extra = Object.fromEntries(
      Object.entries(rest).filter(([key]) => key === "extra" || !Object.hasOwn(this, key)),
    );
  }

  /** One of the sizes that were published: `llama-2-7b`, `llama-3.2-1b`. */
  static fromName(name: string): LlamaConfig {
    if (Object.hasOwn(LLAMA_SIZES, name)) return new LlamaConfig(LLAMA_SIZES[name], name);
    const known = Object.keys(LLAMA_SIZES).join(", ");
    throw new PronkError("not_found", `no Llama is called ${name}; known: ${known}`);
  }

  /** As the constructor; for what JSON.parse gave. */
  static fromJSON(data: unknown, where = "config.json"): LlamaConfig {
    if (typeof data === "object" && data !== null && !Array.isArray(data)) {
      return new LlamaConfig(data as LlamaConfigFields, where);
    }
    throw new PronkError("bad_format", `${where}: ${JSON.stringify(data)} is not an object`);
  }

  get num_labels(): number {
    return Object.keys(this.id2label).length;
  }

  /** config.json's fields, those that were not known too. Labels are left out where they are the default ones. */
  toJSON(): Record<string, unknown> {
    const { extra, id2label, label2id, ...fields } = this;
    const isPlain = JSON.stringify(id2label) === JSON.stringify(plainLabels(DEFAULT_LABELS));
    return { ...extra, ...fields, ...(!isPlain && { id2label, label2id }) };
  }

  /** As `config.json` is written: two spaces, fields in order. */
  toJsonString(): string {
    const entries = Object.entries(this.toJSON()).sort(([a], [b]) => (a < b ? -1 : 1));
    return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
  }

  /** Writes config.json. @returns its name. @throws what the folder throws. */
  async savePretrained(target: OutputFolder | ConfigSink, signal?: AbortSignal): Promise<string[]> {
    const text = this.toJsonString();
    if (typeof target === "function") await target(CONFIG_NAME, new TextEncoder().encode(text));
    else await writeWhole(target, CONFIG_NAME, text, signal);
    return [CONFIG_NAME];
  }

  /**
   * What models are planned from: checked again, since fields may be set.
   *
   * @throws PronkError as the constructor.
   */
  toModelConfig(where = "LlamaConfig"): ModelConfig {
    const { rope_parameters: _, ...fields } = this.toJSON();
    return parseLlamaConfig(fields, where);
  }
}

/** Hugging Face's, where parseLlamaConfig has none; a head size and K/V heads of null follow from others. */
const DEFAULTS: LlamaConfigFields = {
  vocab_size: 32_000,
  hidden_size: 4096,
  intermediate_size: 11_008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  bos_token_id: 1,
  eos_token_id: 2,
};

function withoutUndefined(fields: LlamaConfigFields): LlamaConfigFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** transformers 5's rope_parameters in the place that readers of transformers 4 look at. */
function scalingOf(given: LlamaConfigFields): Readonly<Record<string, unknown>> | null {
  const { rope_parameters: both } = given;
  if (!both) return given.rope_scaling ?? null;
  const { rope_theta: _, ...scaling } = both;
  return scaling.rope_type === undefined || scaling.rope_type === "default" ? null : scaling;
}

function plainLabels(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [i, `LABEL_${i}`]));
}

/** Reads the fields that models do not. */
class FieldCheck {
  readonly #given: LlamaConfigFields;
  readonly #where: string;

  constructor(given: LlamaConfigFields, where: string) {
    this.#given = given;
    this.#where = where;
  }

  text(field: string, fallback: string): string {
    const value = this.#given[field] ?? fallback;
    if (typeof value !== "string") throw this.#bad(field, value, "is not a string");
    return value;
  }

  flag(field: string, fallback: boolean): boolean {
    const value = this.#given[field] ?? fallback;
    if (typeof value !== "boolean") throw this.#bad(field, value, "is not a boolean");
    return value;
  }

  number(field: string, fallback: number, most: number): number {
    const value = this.#given[field] ?? fallback;
    if (typeof value === "number" && value >= 0 && value <= most) return value;
    throw this.#bad(field, value, most === 1 ? "is not a number from 0 to 1" : "is not 0 or more");
  }

  id(field: string): number | null {
    return this.#id(field, this.#given[field]);
  }

  ids(field: string): number | readonly number[] | null {
    const value = this.#given[field];
    if (!Array.isArray(value)) return this.#id(field, value);
    return value.map((id) => {
      if (id === null || id === undefined) throw this.#bad(field, value, "has no id in it");
      return this.#id(field, id) as number;
    });
  }

  labels(): Readonly<Record<string, string>> {
    const { id2label, num_labels } = this.#given;
    const count = num_labels ?? DEFAULT_LABELS;
    if (!Number.isInteger(count) || count < 1 || count > MAX_LABELS) {
      throw this.#bad("num_labels", count, "is not a positive integer");
    }
    if (id2label === undefined || id2label === null) return plainLabels(count);
    const entries = Object.entries(id2label);
    for (const [id, label] of entries) {
      if (!/^\d{1,7}$/.test(id) || typeof label !== "string") {
        throw this.#bad("id2label", { [id]: label }, "is not an id and its label");
      }
    }
    if (entries.length === 0) throw this.#bad("id2label", id2label, "has no label");
    // As Hugging Face does: new labels where their number contradicts the names.
    return num_labels === undefined || num_labels === null || count === entries.length
      ? Object.fromEntries(entries)
      : plainLabels(count);
  }

  labelIds(id2label: Readonly<Record<string, string>>): Readonly<Record<string, number>> {
    const given = this.#given.label2id;
    if (given === undefined || given === null) {
      return Object.fromEntries(Object.entries(id2label).map(([id, label]) => [label, Number(id)]));
    }
    for (const [label, id] of Object.entries(given)) {
      if (!Number.isInteger(id))
        throw this.#bad("label2id", { [label]: id }, "is not a label's id");
    }
    return { ...given };
  }

  #id(field: string, value: unknown): number | null {
    if (value === undefined || value === null) return null;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
    throw this.#bad(field, value, "is not a token id");
  }

  #bad(field: string, value: unknown, why: string): PronkError {
    return new PronkError(
      "bad_format",
      `${this.#where}: ${field}: ${JSON.stringify(value)} ${why}`,
    );
  }
}
