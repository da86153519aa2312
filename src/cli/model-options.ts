/** The options that every command about a model takes, and loading with progress on stderr. */
import type { LoadedModel } from "../engine/loaded-model.ts";
import type { Runtime } from "../engine/runtime.ts";
import {
  createRuntime,
  defaultModel,
  type HostLoadOptions,
  type LoadStage,
  loadNamedModel,
  openNamedModel,
} from "../platform/host/create-engine.ts";
import type { NamedModel } from "../platform/host/open-model.ts";
import { choiceOption, integerOption, UsageError } from "./arguments.ts";
import type { Arguments, CliContext, OptionSpecs } from "./command.ts";
import { createProgress } from "./progress.ts";

const QUANTIZATIONS = ["auto", "none", "q4", "q8", "f16", "f32"] as const;
const PROFILES = ["default", "small"] as const;
const KV_TYPES = ["int16", "int8", "bf16", "f32"] as const;
const BACKENDS = ["auto", "wasm", "reference"] as const;
const KERNELS = ["auto", "dot", "m", "simd"] as const;

/** Which weights: all that packing needs. */
export const WEIGHT_OPTIONS: OptionSpecs = {
  quant: { type: "string", value: "Q", help: `${QUANTIZATIONS.join("|")}: how weights are kept` },
  profile: {
    type: "string",
    value: "P",
    help: `${PROFILES.join("|")}: small fits 128 MB isolates`,
  },
};

export const MODEL_OPTIONS: OptionSpecs = {
  ...WEIGHT_OPTIONS,
  ctx: { type: "string", value: "N", help: "positions of a sequence; default: the model's" },
  kv: { type: "string", value: "T", help: `${KV_TYPES.join("|")}: the KV cache` },
  threads: { type: "string", value: "1", help: "kernels run on one thread" },
  backend: { type: "string", value: "B", help: `${BACKENDS.join("|")}` },
  kernel: { type: "string", value: "K", help: `${KERNELS.join("|")}: auto times them` },
};

export const JSON_OPTION: OptionSpecs = {
  json: { type: "boolean", help: "print one JSON document on stdout" },
};

/** @throws UsageError */
export function modelName({ positionals }: Arguments, cli: CliContext): string {
  return positionals[0] ?? defaultModel(cli.env);
}

/** @throws UsageError */
export function weightOptions(input: Arguments): Pick<HostLoadOptions, "quantization" | "profile"> {
  return {
    quantization: choiceOption(input, "quant", QUANTIZATIONS),
    profile: choiceOption(input, "profile", PROFILES),
  };
}

/** @throws UsageError */
export function modelOptions(input: Arguments): HostLoadOptions {
  if (![undefined, "1"].includes(input.values.threads as string | undefined)) {
    throw new UsageError(`--threads ${input.values.threads}: kernels run on 1 thread`);
  }
  return {
    ...weightOptions(input),
    ctx: integerOption(input, "ctx", 1),
    kv: choiceOption(input, "kv", KV_TYPES),
    backend: choiceOption(input, "backend", BACKENDS),
    kernel: choiceOption(input, "kernel", KERNELS),
  };
}

const LABELS: Record<LoadStage["phase"], string> = {
  download: "downloading",
  wheel: "downloading by pip",
  verify: "verifying",
  pack: "packing",
  load: "loading",
};

/** Runs `work` with a progress report on stderr; loading itself is too short to be shown. */
export async function withProgress<Result>(
  cli: CliContext,
  work: (onProgress: (stage: LoadStage) => void) => Promise<Result>,
): Promise<Result> {
  const progress = createProgress(cli);
  try {
    return await work(({ phase, file, loaded, total }) => {
      if (phase === "load") return;
      const label = [LABELS[phase], file].filter(Boolean).join(" ");
      progress.report({ label, loaded, total });
    });
  } finally {
    progress.finish();
  }
}

/** @throws PronkError */
export async function loadForCommand(
  input: Arguments,
  cli: CliContext,
  more: HostLoadOptions = {},
): Promise<{ model: LoadedModel; runtime: Runtime }> {
  const { host, env, fetch, signal } = cli;
  const runtime = await createRuntime(host);
  const model = await withProgress(cli, (onProgress) =>
    loadNamedModel(host, modelName(input, cli), runtime, {
      ...modelOptions(input),
      ...more,
      env,
      fetch,
      signal,
      onProgress(stage) {
        onProgress(stage);
        more.onProgress?.(stage);
      },
    }),
  );
  return { model, runtime };
}

/** Opens a model without loading its weights; the caller closes it. */
export function openForCommand(input: Arguments, cli: CliContext): Promise<NamedModel> {
  const { host, env, fetch, signal } = cli;
  return withProgress(cli, (onProgress) =>
    openNamedModel(host, modelName(input, cli), {
      ...weightOptions(input),
      env,
      fetch,
      signal,
      onProgress,
    }),
  );
}
