/** The options of `pipeline` that load a model and a tokenizer; the others are the task's. */
import { PronkError } from "../../errors.ts";
import type { PretrainedTokenizerOptions, TokenizerSource } from "../auto/auto-tokenizer.ts";
import type { PretrainedOptions } from "../modeling/pretrained-options.ts";
import type { SourceOptions } from "../modeling/pretrained-source.ts";
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";

type SourceNames = keyof SourceOptions | "trust_remote_code";

const SOURCE_NAMES: readonly SourceNames[] = [
  "revision",
  "subfolder",
  "gguf_file",
  "cache_dir",
  "local_files_only",
  "token",
  "env",
  "fetch",
  "hub",
  "signal",
  "trust_remote_code",
];

/** Options of `fromPretrained` that need no model_kwargs around them. */
type ModelNames =
  | SourceNames
  | "config"
  | "dtype"
  | "torch_dtype"
  | "quantization"
  | "quantization_config"
  | "load_in_8bit"
  | "load_in_4bit"
  | "backend"
  | "ctx"
  | "slots"
  | "kernels"
  | "onNote"
  | "device_map"
  | "attn_implementation";

const MODEL_NAMES: readonly ModelNames[] = [
  ...SOURCE_NAMES,
  "config",
  "dtype",
  "torch_dtype",
  "quantization",
  "quantization_config",
  "load_in_8bit",
  "load_in_4bit",
  "backend",
  "ctx",
  "slots",
  "kernels",
  "onNote",
  "device_map",
  "attn_implementation",
];

const OTHER_NAMES = ["tokenizer", "use_fast", "model_kwargs", "device", "framework"] as const;

export interface PipelineLoadOptions extends Pick<PretrainedOptions, ModelNames> {
  /** A tokenizer, or where it comes from. Default: where the model comes from. */
  readonly tokenizer?: PreTrainedTokenizerBase | TokenizerSource;
  /** Of a tokenizer that is loaded. Default true. */
  readonly use_fast?: boolean;
  /** More options for the model's `fromPretrained`. */
  readonly model_kwargs?: PretrainedOptions;
  /** Where the model runs: "wasm", "cpu", -1 and 0 are this machine's processor; "webgpu" is `backend: "webgpu"`. */
  readonly device?: "wasm" | "cpu" | "webgpu" | -1 | 0 | (string & {}) | number | null;
  /** Without effect: there is one. */
  readonly framework?: "pt" | null;
}

export interface SplitOptions<TaskOptions> {
  readonly load: PipelineLoadOptions;
  readonly model: PretrainedOptions;
  readonly tokenizer: PretrainedTokenizerOptions;
  readonly task: TaskOptions;
}

/** @throws PronkError "unsupported" for devices and frameworks that are not there. */
export function splitOptions<TaskOptions extends object>(
  options: PipelineLoadOptions & TaskOptions,
): SplitOptions<TaskOptions> {
  const loads: ReadonlySet<string> = new Set<string>([...MODEL_NAMES, ...OTHER_NAMES]);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const pick = (names: readonly string[]): object =>
    Object.fromEntries(given.filter(([name]) => names.includes(name)));
  const load = Object.fromEntries(given.filter(([name]) => loads.has(name))) as PipelineLoadOptions;
  checkDevice(load.device);
  if (load.framework && load.framework !== "pt") {
    throw unsupported("framework", `${load.framework}: there is one, called pt`);
  }
  const { use_fast, model_kwargs } = load;
  return {
    load,
    model: {
      ...(load.device === "webgpu" && { backend: "webgpu" as const }),
      ...pick(MODEL_NAMES),
      ...model_kwargs,
    },
    tokenizer: { ...pick(SOURCE_NAMES), ...(use_fast !== undefined && { use_fast }) },
    task: Object.fromEntries(given.filter(([name]) => !loads.has(name))) as TaskOptions,
  };
}

/** Of a model that is loaded: nothing of how it would have been. @throws PronkError "bad_request" */
export function refuseModelOptions(model: PretrainedOptions): void {
  const [name] = Object.keys(model).filter((one) => one !== "onNote" && !isSource(one));
  if (name === undefined) return;
  const what = `pipeline: ${name}: the model is loaded already`;
  throw new PronkError("bad_request", what, { param: name });
}

/** A tokenizer beside the model may come from somewhere. */
function isSource(name: string): boolean {
  return (SOURCE_NAMES as readonly string[]).includes(name);
}

const DEVICES: readonly unknown[] = ["wasm", "cpu", "webgpu", -1, 0];

function checkDevice(device: PipelineLoadOptions["device"]): void {
  if (device === undefined || device === null || DEVICES.includes(device)) return;
  throw unsupported("device", `${device} is none of ${DEVICES.join(", ")}`);
}

function unsupported(param: string, why: string): PronkError {
  return new PronkError("unsupported", `pipeline: ${param}: ${why}`, { param });
}
