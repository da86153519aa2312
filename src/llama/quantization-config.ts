/**
 * `quantization_config` of Hugging Face: which of our forms stands for what TorchAO and bitsandbytes are asked
 * for; other methods are refused by name.
 *
 * Source: transformers 4.57, utils/quantization_config.py; torchao 0.14, quantization/quant_api.py.
 */
import { PronkError } from "../errors.ts";
import { printable } from "../formats/printable.ts";
import type { Quantization } from "../pack/form-choice.ts";

/** How weights are quantized while they are read, and what differs from what was asked for. */
export interface LoadQuantization {
  readonly quantization: Quantization;
  readonly note: string;
}

/** Group sizes of int4_weight_only that run. */
const GROUP_SIZES: Readonly<Record<number, Quantization>> = {
  32: "int4g32",
  64: "int4g64",
  128: "int4g128",
};

const DEFAULT_GROUP_SIZE = 128;

/** Storage of CUDA's and the CPU's kernels: nothing here has it. */
const STORAGE_OPTIONS = ["layout", "inner_k_tiles", "int4_packing_format", "version"];

export interface Int4WeightOnlyOptions {
  /** Weights that share a scale and a minimum: 32, 64 or 128, the default. */
  readonly group_size?: number;
  /** Accepted without effect, as other names of storage: `inner_k_tiles`, `int4_packing_format`. */
  readonly layout?: unknown;
  readonly [option: string]: unknown;
}

/** TorchAO's configuration object of `int4_weight_only`. */
export class Int4WeightOnlyConfig {
  readonly group_size: number;

  /** @throws PronkError "unsupported" on other group sizes and options. */
  constructor(options: Int4WeightOnlyOptions = {}) {
    const { group_size = DEFAULT_GROUP_SIZE, ...others } = options;
    refuseOthers("Int4WeightOnlyConfig", others);
    if (!Object.hasOwn(GROUP_SIZES, group_size)) {
      const runs = Object.keys(GROUP_SIZES).join(", ");
      throw refused(`group_size ${String(group_size)}; runs: ${runs}`);
    }
    this.group_size = group_size;
  }
}

/** TorchAO's configuration object of `int8_weight_only`. */
export class Int8WeightOnlyConfig {
  /** null: a scale a row, as TorchAO has it. Ours are a scale for 32 weights either way. */
  readonly group_size: number | null;

  /** @throws PronkError "unsupported" on other options. */
  constructor(
    options: { readonly group_size?: number | null; readonly [option: string]: unknown } = {},
  ) {
    const { group_size = null, ...others } = options;
    refuseOthers("Int8WeightOnlyConfig", others);
    this.group_size = group_size;
  }
}

type WeightOnlyConfig = Int4WeightOnlyConfig | Int8WeightOnlyConfig;

/**
 * `new TorchAoConfig("int4_weight_only", { group_size: 128 })`, or over one of the configuration objects.
 */
export class TorchAoConfig {
  readonly quant_method = "torchao";
  readonly quant_type: WeightOnlyConfig;

  /** @throws PronkError "unsupported" for types that quantize activations, and other options. */
  constructor(
    quant_type: string | WeightOnlyConfig,
    options: Int4WeightOnlyOptions & {
      readonly modules_to_not_convert?: readonly string[] | null;
      readonly include_input_output_embeddings?: boolean;
    } = {},
  ) {
    const { modules_to_not_convert: kept, include_input_output_embeddings: _, ...kwargs } = options;
    refuseModules("modules_to_not_convert", kept);
    if (typeof quant_type !== "string") {
      refuseOthers("TorchAoConfig", kwargs);
      this.quant_type = quant_type;
    } else if (quant_type === "int4_weight_only") {
      this.quant_type = new Int4WeightOnlyConfig(kwargs);
    } else if (quant_type === "int8_weight_only") {
      this.quant_type = new Int8WeightOnlyConfig(kwargs as { group_size?: number | null });
    } else {
      throw refused(
        `TorchAoConfig ${printable(quant_type)}; runs: int4_weight_only, int8_weight_only`,
      );
    }
  }

  /** As config.json holds it. */
  toDict(): Record<string, unknown> {
    const isInt4 = this.quant_type instanceof Int4WeightOnlyConfig;
    const { group_size } = this.quant_type;
    return {
      quant_method: this.quant_method,
      quant_type: isInt4 ? "int4_weight_only" : "int8_weight_only",
      quant_type_kwargs: group_size === null ? {} : { group_size },
    };
  }
}

export interface BitsAndBytesOptions {
  readonly load_in_8bit?: boolean;
  readonly load_in_4bit?: boolean;
  readonly bnb_4bit_quant_type?: string;
  readonly bnb_4bit_use_double_quant?: boolean;
  readonly bnb_4bit_compute_dtype?: string | null;
  readonly bnb_4bit_quant_storage?: string | null;
  readonly llm_int8_threshold?: number;
  readonly llm_int8_skip_modules?: readonly string[] | null;
  readonly llm_int8_enable_fp32_cpu_offload?: boolean;
  readonly llm_int8_has_fp16_weight?: boolean;
}

const BITS_AND_BYTES_OPTIONS = [
  "load_in_8bit",
  "load_in_4bit",
  "bnb_4bit_quant_type",
  "bnb_4bit_use_double_quant",
  "bnb_4bit_compute_dtype",
  "bnb_4bit_quant_storage",
  "llm_int8_threshold",
  "llm_int8_skip_modules",
  "llm_int8_enable_fp32_cpu_offload",
  "llm_int8_has_fp16_weight",
];

/** bitsandbytes' names, for our 4-bit and 8-bit blocks. */
export class BitsAndBytesConfig {
  readonly quant_method = "bitsandbytes";
  readonly load_in_8bit: boolean;
  readonly load_in_4bit: boolean;
  readonly bnb_4bit_quant_type: string;
  readonly bnb_4bit_use_double_quant: boolean;
  readonly bnb_4bit_compute_dtype: string;
  readonly bnb_4bit_quant_storage: string;
  readonly llm_int8_threshold: number;
  readonly llm_int8_enable_fp32_cpu_offload: boolean;

  /** @throws PronkError "bad_request" when both widths are asked for; "unsupported". */
  constructor(options: BitsAndBytesOptions = {}) {
    refuseOthers("BitsAndBytesConfig", options as Record<string, unknown>, BITS_AND_BYTES_OPTIONS);
    const { load_in_8bit = false, load_in_4bit = false, bnb_4bit_quant_type = "fp4" } = options;
    if (load_in_8bit && load_in_4bit) {
      throw new PronkError(
        "bad_request",
        "load_in_4bit and load_in_8bit are both True, but only one can be used at the same time",
        { param: "quantization_config" },
      );
    }
    if (bnb_4bit_quant_type !== "fp4" && bnb_4bit_quant_type !== "nf4") {
      throw refused(
        `bnb_4bit_quant_type ${printable(String(bnb_4bit_quant_type))}; known: fp4, nf4`,
      );
    }
    refuseModules("llm_int8_skip_modules", options.llm_int8_skip_modules);
    if (options.llm_int8_has_fp16_weight) {
      throw refused("llm_int8_has_fp16_weight: it is for training");
    }
    this.load_in_8bit = load_in_8bit;
    this.load_in_4bit = load_in_4bit;
    this.bnb_4bit_quant_type = bnb_4bit_quant_type;
    this.bnb_4bit_use_double_quant = options.bnb_4bit_use_double_quant ?? false;
    this.bnb_4bit_compute_dtype = options.bnb_4bit_compute_dtype ?? "float32";
    this.bnb_4bit_quant_storage = options.bnb_4bit_quant_storage ?? "uint8";
    this.llm_int8_threshold = options.llm_int8_threshold ?? 6;
    this.llm_int8_enable_fp32_cpu_offload = options.llm_int8_enable_fp32_cpu_offload ?? false;
  }

  /** As config.json holds it. */
  toDict(): Record<string, unknown> {
    const { ...fields } = this;
    return fields;
  }
}

/** What `quantization_config` takes: one of the classes, or their fields as config.json has them. */
export type QuantizationConfig =
  | TorchAoConfig
  | BitsAndBytesConfig
  | (Readonly<Record<string, unknown>> & { readonly quant_method: string });

/**
 * Which of our forms it means; undefined for a configuration that asks for nothing.
 *
 * @throws PronkError "unsupported" for other methods, by name; "bad_request".
 */
export function readQuantizationConfig(config: QuantizationConfig): LoadQuantization | undefined {
  if (config instanceof TorchAoConfig) return torchAo(config);
  if (config instanceof BitsAndBytesConfig) return bitsAndBytes(config);
  const { quant_method: method, ...fields } = config as Record<string, unknown>;
  if (method === "torchao") return torchAo(torchAoFromDict(fields));
  if (method === "bitsandbytes") return bitsAndBytes(bitsAndBytesFromDict(fields));
  const name = typeof method === "string" ? printable(method) : "without a quant_method";
  throw refused(`${name}; runs: torchao (int4 and int8, weights only), bitsandbytes`);
}

function torchAo({ quant_type: type }: TorchAoConfig): LoadQuantization {
  if (type instanceof Int4WeightOnlyConfig) {
    return {
      quantization: GROUP_SIZES[type.group_size]!,
      note: `int4_weight_only: 4 bits, a scale and a minimum for ${type.group_size} weights; the embedding and the head in 6 bits`,
    };
  }
  return { quantization: "int8", note: "int8_weight_only: 8 bits, a scale for 32 weights" };
}

function bitsAndBytes(config: BitsAndBytesConfig): LoadQuantization | undefined {
  if (config.load_in_8bit) {
    return {
      quantization: "int8",
      note: "load_in_8bit: 8 bits, a scale for 32 weights; no outliers apart",
    };
  }
  if (!config.load_in_4bit) return undefined;
  const { bnb_4bit_quant_type: type } = config;
  return {
    quantization: "q4",
    note: `load_in_4bit (${type}): 16 even steps with a scale and a minimum for 32 weights; the embedding and the head in 6 bits`,
  };
}

/** `quant_type` as text with its arguments, or as TorchAO writes objects: {default: {_type, _data}}. */
function torchAoFromDict(fields: Readonly<Record<string, unknown>>): TorchAoConfig {
  const { quant_type: type, quant_type_kwargs: kwargs, ...others } = fields;
  const options = { ...others, ...(isRecord(kwargs) ? kwargs : {}) } as Int4WeightOnlyOptions;
  if (typeof type === "string") return new TorchAoConfig(type, options);
  const inner = isRecord(type) && isRecord(type.default) ? type.default : undefined;
  const data = (isRecord(inner?._data) ? inner._data : {}) as Int4WeightOnlyOptions;
  switch (inner?._type) {
    case "Int4WeightOnlyConfig":
      return new TorchAoConfig(new Int4WeightOnlyConfig(data), options);
    case "Int8WeightOnlyConfig":
      return new TorchAoConfig(new Int8WeightOnlyConfig(data as { group_size?: number }), options);
    default:
      throw refused(`torchao ${printable(JSON.stringify(inner?._type ?? type) ?? "nothing")}`);
  }
}

/** Fields of config.json that repeat others, with an underscore. */
function bitsAndBytesFromDict(fields: Readonly<Record<string, unknown>>): BitsAndBytesConfig {
  const own = Object.entries(fields).filter(([key]) => !/^_load_in_[48]bit$/.test(key));
  return new BitsAndBytesConfig(Object.fromEntries(own) as BitsAndBytesOptions);
}

function refuseOthers(
  what: string,
  options: Readonly<Record<string, unknown>>,
  known: readonly string[] = STORAGE_OPTIONS,
): void {
  const other = Object.keys(options).find((key) => !known.includes(key));
  if (other !== undefined) throw refused(`${what}: ${printable(other)}: no such option here`);
}

/** The head that both leave alone by default may be named. */
function refuseModules(option: string, modules: readonly string[] | null | undefined): void {
  const other = modules?.find((name) => name !== "lm_head");
  if (other !== undefined) {
    throw refused(`${option} ${printable(other)}: forms are chosen by kind of weight, not by name`);
  }
}

function refused(what: string): PronkError {
  return new PronkError("unsupported", `quantization_config: ${what}`, {
    param: "quantization_config",
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
