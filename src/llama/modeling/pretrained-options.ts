/** The options of `fromPretrained`, under Hugging Face's names: honoured, without effect, or refused by name. */
import { parseDtype } from "../../checkpoints/dtype.ts";
import type { CheckpointKind } from "../../checkpoints/open-folder.ts";
import type { Backend } from "../../engine/backend-name.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import type { FloatType } from "../../formats/float-tensor.ts";
import { printable } from "../../formats/printable.ts";
import type { Quantization } from "../../pack/form-choice.ts";
import { LlamaConfig, type LlamaConfigFields } from "../llama-config.ts";
import {
  BitsAndBytesConfig,
  type QuantizationConfig,
  readQuantizationConfig,
} from "../quantization-config.ts";
import type { SourceOptions } from "./pretrained-source.ts";

/** Fields of the configuration that replace those of the files. */
const CONFIG_FIELDS = [
  "vocab_size",
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "head_dim",
  "hidden_act",
  "max_position_embeddings",
  "initializer_range",
  "rms_norm_eps",
  "use_cache",
  "pad_token_id",
  "bos_token_id",
  "eos_token_id",
  "pretraining_tp",
  "tie_word_embeddings",
  "rope_theta",
  "rope_scaling",
  "rope_parameters",
  "attention_bias",
  "attention_dropout",
  "mlp_bias",
  "num_labels",
  "id2label",
  "label2id",
] as const;

/** Fields that our LlamaConfig only keeps. */
const KEPT_FIELDS = ["problem_type", "output_attentions", "output_hidden_states"] as const;

export type ConfigOverrides = Pick<LlamaConfigFields, (typeof CONFIG_FIELDS)[number]> & {
  readonly problem_type?: string | null;
  /** Whether `forward` gives them unless it is told otherwise. */
  readonly output_attentions?: boolean;
  readonly output_hidden_states?: boolean;
};

export interface PretrainedOptions extends SourceOptions, ConfigOverrides {
  /** "none", the default, keeps the weights as they are and computes in f32; a pack has its own form. */
  readonly quantization?: Quantization;
  /** TorchAoConfig, BitsAndBytesConfig, or their fields. */
  readonly quantization_config?: QuantizationConfig | null;
  readonly load_in_8bit?: boolean;
  readonly load_in_4bit?: boolean;
  /**
   * What weights are rounded to: "float32", "float16", "bfloat16", also as "f32" or "torch.float16"; "auto": what
   * the configuration says. Default: every stored value as it is.
   */
  readonly dtype?: string | null;
  /** The older name of `dtype`. */
  readonly torch_dtype?: string | null;
  /** In place of the files' own. */
  readonly config?: LlamaConfig | LlamaConfigFields;
  /** Of the weights of a head that the files lack. Default 0. */
  readonly seed?: number;
  /** A head of another shape than the configuration's is made anew. */
  readonly ignore_mismatched_sizes?: boolean;
  /** Reads `model.VARIANT.safetensors`, or its shards: of a folder, not of the hub's repositories. */
  readonly variant?: string | null;
  /** true: safetensors alone; false: never them. */
  readonly use_safetensors?: boolean | null;
  /** Flax weights alone. */
  readonly from_flax?: boolean;
  /** PyTorch's weights alone: safetensors, pytorch_model.bin. */
  readonly from_pt?: boolean;
  /** Default "wasm". "webgpu" keeps the weights in memory, too: they are what is saved, resized and looked up. */
  readonly backend?: Backend;
  /** Positions of a sequence. Default: config.max_position_embeddings, at most 2,048. */
  readonly ctx?: number;
  /** Sequences whose keys and values are kept at once: rows of a batch at most. Default 8. */
  readonly slots?: number;
  /** Compiled modules; on Workers, which cannot compile them, they have to be given. */
  readonly kernels?: Runtime["kernels"];
  /** Told what differs from what was asked for; `model.notes` has it too. Default: console.warn for new heads. */
  readonly onNote?: (note: string) => void;

  /** Without effect: there is one device, attention has one implementation, weights are streamed, no code is run. */
  readonly device_map?: unknown;
  readonly attn_implementation?: unknown;
  readonly low_cpu_mem_usage?: boolean;
  readonly trust_remote_code?: boolean;
  readonly weights_only?: boolean;
  readonly max_memory?: unknown;
  readonly offload_folder?: unknown;
  readonly offload_state_dict?: unknown;
  readonly offload_buffers?: unknown;
}

const KNOWN: ReadonlySet<string> = new Set<keyof PretrainedOptions>([
  ...CONFIG_FIELDS,
  ...KEPT_FIELDS,
  "quantization",
  "quantization_config",
  "load_in_8bit",
  "load_in_4bit",
  "dtype",
  "torch_dtype",
  "config",
  "seed",
  "ignore_mismatched_sizes",
  "variant",
  "use_safetensors",
  "from_flax",
  "from_pt",
  "backend",
  "ctx",
  "slots",
  "kernels",
  "onNote",
  "revision",
  "subfolder",
  "gguf_file",
  "variant",
  "cache_dir",
  "local_files_only",
  "token",
  "env",
  "fetch",
  "hub",
  "signal",
  "onProgress",
]);

/** Accepted without effect. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set<keyof PretrainedOptions>([
  "device_map",
  "attn_implementation",
  "low_cpu_mem_usage",
  "trust_remote_code",
  "weights_only",
  "max_memory",
  "offload_folder",
  "offload_state_dict",
  "offload_buffers",
]);

/** What transformers has and this does not, and why; where they ask for nothing they are let through. */
const REFUSED: Readonly<Record<string, string>> = {
  from_tf: "TensorFlow's weights are not read",
  state_dict: "tensors are given as an opened checkpoint: { checkpoint }",
  output_loading_info: "the model has it: missing_keys, unexpected_keys, notes",
  force_download: "files of the cache are verified; another cache_dir has none",
  proxies: "they are read from HTTPS_PROXY",
  mirror: "it is read from HF_ENDPOINT",
  use_auth_token: "tokens are read from HF_TOKEN alone",
  tp_plan: "there is one device",
  device_mesh: "there is one device",
  key_mapping: "tensors have Hugging Face's names",
  return_dict: "outputs are objects",
  adapter_kwargs: "adapters are loaded by loadAdapter",
};

const TORCH_KINDS: readonly CheckpointKind[] = ["safetensors", "pytorch"];
const ALL_KINDS: readonly CheckpointKind[] = [...TORCH_KINDS, "flax", "meta", "fairseq2"];

/** What `fromPretrained` was asked for, checked. */
export interface ResolvedOptions {
  readonly quantization: Quantization | undefined;
  /** undefined: as it is stored. */
  readonly dtype: FloatType | "auto" | undefined;
  readonly kinds: readonly CheckpointKind[] | undefined;
  /** Fields of config.json to be replaced. */
  readonly overrides: Readonly<Record<string, unknown>>;
  /** Instead of the files' own. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  readonly notes: readonly string[];
}

/**
 * @param prefersFlax of the Flax classes: Flax weights first
 * @throws PronkError "bad_request", "unsupported" with `param`.
 */
export function resolveOptions(options: PretrainedOptions, prefersFlax = false): ResolvedOptions {
  refuseUnknown(options as Readonly<Record<string, unknown>>);
  const notes: string[] = [];
  const quantization = quantizationOf(options, notes);
  const { config } = options;
  return {
    quantization,
    dtype: dtypeOf(options),
    kinds: kindsOf(options, prefersFlax),
    overrides: configOverrides(options),
    config: config instanceof LlamaConfig ? config.toJSON() : config,
    notes,
  };
}

/** Those of the options that are fields of the configuration. */
export function configOverrides(options: ConfigOverrides): Readonly<Record<string, unknown>> {
  const fields = [...CONFIG_FIELDS, ...KEPT_FIELDS] as const;
  return Object.fromEntries(
    fields.flatMap((field) => (options[field] === undefined ? [] : [[field, options[field]]])),
  );
}

/** @throws PronkError naming the first that is not known, or asks for what is not done. */
export function refuseUnknown(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (KNOWN.has(name) || WITHOUT_EFFECT.has(name) || value === undefined) continue;
    if (Object.hasOwn(REFUSED, name)) {
      // These are asked for by anything but a no; tuples by a no.
      if (name === "return_dict" ? value === false : value) throw refused(name, REFUSED[name]!);
      continue;
    }
    const what = `fromPretrained: ${printable(name)}: no such option`;
    throw new PronkError("bad_request", what, { param: name });
  }
}

function refused(name: string, why: string): PronkError {
  return new PronkError("unsupported", `fromPretrained: ${name}: ${why}`, { param: name });
}

function quantizationOf(options: PretrainedOptions, notes: string[]): Quantization | undefined {
  const { quantization, load_in_8bit, load_in_4bit } = options;
  const quantization_config = options.quantization_config ?? ownQuantization(options.config);
  const isBits = load_in_8bit || load_in_4bit;
  const given = [quantization, quantization_config, isBits || undefined];
  if (given.filter((one) => one !== undefined && one !== null).length > 1) {
    throw new PronkError(
      "bad_request",
      "fromPretrained: one of quantization, quantization_config, load_in_8bit and load_in_4bit",
      { param: "quantization_config" },
    );
  }
  if (quantization !== undefined) return quantization;
  const config = isBits
    ? new BitsAndBytesConfig({
        ...(load_in_8bit !== undefined && { load_in_8bit }),
        ...(load_in_4bit !== undefined && { load_in_4bit }),
      })
    : quantization_config;
  const read = config ? readQuantizationConfig(config) : undefined;
  if (read) notes.push(read.note);
  return read?.quantization;
}

/** A configuration that is given may ask for it, too. */
function ownQuantization(config: PretrainedOptions["config"]): QuantizationConfig | undefined {
  const fields = config instanceof LlamaConfig ? config.extra : config;
  return (fields?.quantization_config ?? undefined) as QuantizationConfig | undefined;
}

function dtypeOf({ dtype, torch_dtype }: PretrainedOptions): ResolvedOptions["dtype"] {
  const given = dtype ?? torch_dtype ?? undefined;
  if (dtype && torch_dtype && readDtype(dtype) !== readDtype(torch_dtype)) {
    const what = `fromPretrained: dtype ${dtype}, torch_dtype ${torch_dtype}`;
    throw new PronkError("bad_request", what, { param: "dtype" });
  }
  return given === undefined ? undefined : readDtype(given);
}

/** Also as Python prints it: `torch.bfloat16`. */
export function readDtype(name: string): FloatType | "auto" {
  return name === "auto" ? name : parseDtype(String(name).replace(/^torch\./, ""));
}

function kindsOf(
  { use_safetensors: safetensors, from_flax: flax, from_pt: pt, variant }: PretrainedOptions,
  prefersFlax: boolean,
): readonly CheckpointKind[] | undefined {
  if ((flax && pt) || (flax && safetensors)) {
    throw new PronkError("bad_request", "fromPretrained: from_flax excludes other weights", {
      param: "from_flax",
    });
  }
  if (variant && (flax || safetensors === false)) {
    throw new PronkError(
      "bad_request",
      `fromPretrained: variant ${variant}: of safetensors alone`,
      {
        param: "variant",
      },
    );
  }
  if (flax) return ["flax"];
  if (safetensors) return ["safetensors"];
  const kinds = pt ? TORCH_KINDS : prefersFlax ? ["flax" as const, ...ALL_KINDS] : ALL_KINDS;
  if (safetensors === false) return kinds.filter((kind) => kind !== "safetensors");
  return pt || prefersFlax ? kinds : undefined;
}
