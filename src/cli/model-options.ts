/** The options that every command about a model takes, and loading with progress on stderr. */
import type { EngineOptions } from "../engine/create-engine.ts";
import type { Engine } from "../engine/engine.ts";
import type { OpenedAdapter } from "../engine/load-adapters.ts";
import type { LoadedModel } from "../engine/loaded-model.ts";
import type { Runtime } from "../engine/runtime.ts";
import { countThreads } from "../engine/threads.ts";
import { QUANTIZATIONS } from "../pack/form-choice.ts";
import {
  createRuntime,
  defaultModel,
  type HostLoadOptions,
  type LoadStage,
  loadNamedModel,
  openHostAdapters,
  openNamedModel,
  startEngine,
} from "../platform/host/create-engine.ts";
import { type NamedModel, openUnpacked } from "../platform/host/open-model.ts";
import type { SimdWidth } from "../platform/host/simd-width.ts";
import {
  choiceOption,
  flagOption,
  integerOption,
  optionGroup,
  textOption,
  UsageError,
} from "./arguments.ts";
import { BUDGET_OPTION, budgetOption, fittingForm, kernelBudget } from "./budget.ts";
import type { Arguments, CliContext, OptionSpecs } from "./command.ts";
import { adapterOptions } from "./lora-options.ts";
import { createProgress } from "./progress.ts";
import { PUBLIC_KEY_OPTION, publicKeysOf } from "./signing-options.ts";
import { STAGES_OPTION, stageCount, stageUrls } from "./stages-option.ts";

/** What --quant offers; a group size is chosen beside int4. */
const QUANTS = QUANTIZATIONS.filter((name) => !name.startsWith("int4g"));
const GROUP_SIZES = ["32", "64", "128"] as const;
const PROFILES = ["default", "small"] as const;
const KV_TYPES = ["int16", "int8", "bf16", "f32"] as const;
const GPU_NUMBERS = ["auto", "f32", "f16", "int8"] as const;
const BACKENDS = ["auto", "wasm", "webgpu", "reference"] as const;
const SPECULATIONS = ["lookup", "off"] as const;
const KERNELS = ["auto", "dot", "m", "simd"] as const;
const SIMD_WIDTHS = ["auto", "128", "256"] as const;

/** Which weights: all that packing needs. */
export const WEIGHT_OPTIONS: OptionSpecs = optionGroup("Weights and memory", {
  quant: { type: "string", value: "Q", help: `${QUANTS.join("|")}: how weights are kept` },
  "group-size": {
    type: "string",
    value: "N",
    help: `${GROUP_SIZES.join("|")}: of int4, weights with one scale; default 128`,
  },
  profile: {
    type: "string",
    value: "P",
    help: `${PROFILES.join("|")}: small fits 128 MB isolates`,
  },
});

export const KV_OPTION: OptionSpecs[string] = {
  type: "string",
  value: "T",
  help: `${KV_TYPES.join("|")}: the KV cache`,
  group: "Weights and memory",
};

export const SIMD_WIDTH_OPTION: OptionSpecs = optionGroup("Speed", {
  "simd-width": {
    type: "string",
    value: "W",
    help: `${SIMD_WIDTHS.join("|")}: bits of a vector, same bytes; auto: 256 where tested`,
  },
});

export const MODEL_OPTIONS: OptionSpecs = {
  ...WEIGHT_OPTIONS,
  ...BUDGET_OPTION,
  ctx: {
    type: "string",
    value: "N",
    help: "positions of a sequence; default: the model's",
    group: "Weights and memory",
  },
  kv: KV_OPTION,
  ...STAGES_OPTION,
  ...optionGroup("Speed", {
    threads: { type: "string", value: "N", help: "N|auto: threads at most, same bytes; default 1" },
    backend: {
      type: "string",
      value: "B",
      help: `${BACKENDS.join("|")}: auto takes a GPU where it is faster`,
    },
    "gpu-numbers": {
      type: "string",
      value: "X",
      help: `${GPU_NUMBERS.join("|")}: what a GPU multiplies prompts as; default f32, others round`,
    },
    kernel: { type: "string", value: "K", help: `${KERNELS.join("|")}: auto times them` },
  }),
  ...SIMD_WIDTH_OPTION,
  ...PUBLIC_KEY_OPTION,
};

/** Of commands that run an engine; bench has no --context-shift, its texts fit. */
export const SPECULATE_OPTIONS: OptionSpecs = optionGroup("Speed", {
  speculate: {
    type: "string",
    value: "S",
    help: `${SPECULATIONS.join("|")}: run ahead what the text suggests, same output; default lookup`,
  },
  draft: { type: "string", value: "MODEL", help: "also what this smaller model proposes" },
});

export const CONTEXT_SHIFT_OPTION: OptionSpecs = {
  "context-shift": {
    type: "boolean",
    help: "when the context is full, drop its older half and go on",
    group: "Weights and memory",
  },
};

export const JSON_OPTION: OptionSpecs = {
  json: {
    type: "boolean",
    help: "print one JSON document on stdout, and nothing else",
    group: "Always",
  },
};

/** @throws UsageError */
export function modelName({ positionals }: Arguments, cli: CliContext): string {
  return positionals[0] ?? defaultModel(cli.env);
}

/** @throws UsageError */
export function weightOptions(input: Arguments): Pick<HostLoadOptions, "quantization" | "profile"> {
  const quant = choiceOption(input, "quant", QUANTS);
  const groupSize = choiceOption(input, "group-size", GROUP_SIZES);
  if (groupSize !== undefined && quant !== "int4") {
    throw new UsageError("--group-size is for --quant int4");
  }
  return {
    quantization: groupSize === undefined ? quant : `int4g${groupSize}`,
    profile: choiceOption(input, "profile", PROFILES),
  };
}

/** @throws UsageError */
export function kvOption(input: Arguments): (typeof KV_TYPES)[number] | undefined {
  return choiceOption(input, "kv", KV_TYPES);
}

/** @throws UsageError */
export function modelOptions(
  input: Arguments,
): Omit<HostLoadOptions, "speculate"> & { readonly simdWidth: SimdWidth } {
  return {
    ...weightOptions(input),
    ctx: integerOption(input, "ctx", 1),
    kv: kvOption(input),
    backend: choiceOption(input, "backend", BACKENDS),
    gpuNumbers: choiceOption(input, "gpu-numbers", GPU_NUMBERS),
    kernel: choiceOption(input, "kernel", KERNELS),
    simdWidth: simdWidthOption(input),
    stages: stageCount(input),
    threads: input.values.threads === "auto" ? "auto" : integerOption(input, "threads", 1, 64),
  };
}

/** Unlike the library's, the default is "auto": this process is ours. @throws UsageError */
export function simdWidthOption(input: Arguments): SimdWidth {
  const width = choiceOption(input, "simd-width", SIMD_WIDTHS) ?? "auto";
  return width === "auto" ? width : width === "256" ? 256 : 128;
}

/** @throws UsageError */
function speculateOption(input: Arguments): HostLoadOptions["speculate"] {
  const draft = textOption(input, "draft");
  const speculate = choiceOption(input, "speculate", SPECULATIONS);
  if (draft === undefined) return speculate;
  if (speculate === "off") throw new UsageError("--draft: not with --speculate off");
  return { draft };
}

/** Loads a model and makes an engine of it, by the options of SPECULATE_ and CONTEXT_SHIFT_OPTION. */
export async function engineForCommand(
  input: Arguments,
  cli: CliContext,
  { maxQueue, ...more }: HostLoadOptions & Pick<EngineOptions, "maxQueue"> = {},
): Promise<Engine> {
  const adapters = await openLora(input, cli);
  // Memory that is counted goes to the context, unless asked for otherwise.
  const usual = budgetOption(input) === undefined ? more.speculate : "off";
  const speculate = speculateOption(input) ?? usual;
  const { model, runtime } = await loadForCommand(input, cli, {
    ...more,
    speculate,
    roomFor: adapters.map(({ adapter }) => adapter),
  });
  const { host, env, fetch, signal } = cli;
  const options = { ...modelOptions(input), env, fetch, signal, speculate };
  const contextShift = flagOption(input, "context-shift");
  const { applyAdapters } = adapterOptions(input);
  return startEngine(
    host,
    model,
    runtime,
    { ...options, maxQueue, contextShift, applyAdapters },
    adapters,
  );
}

/** The adapters of --lora, opened: a wrong name shows before a model is loaded. */
export function openLora(input: Arguments, cli: CliContext): Promise<OpenedAdapter[]> {
  const { host, env, fetch, signal } = cli;
  return withProgress(cli, (onProgress) =>
    openHostAdapters(host, { ...adapterOptions(input), env, fetch, signal, onProgress }),
  );
}

const LABELS: Record<LoadStage["phase"], string> = {
  download: "downloading",
  wheel: "downloading by pip",
  verify: "verifying",
  pack: "packing",
  load: "loading",
};

/** Runs `work` with a progress report on stderr; of loading, once it takes longer than one notices. */
export async function withProgress<Result>(
  cli: CliContext,
  work: (onProgress: (stage: LoadStage) => void) => Promise<Result>,
): Promise<Result> {
  const progress = createProgress(cli);
  try {
    return await work(({ phase, file, loaded, total }) => {
      const label = [LABELS[phase], file].filter(Boolean).join(" ");
      const brief = phase === "load";
      // Of loading the length is known only once the model is open.
      if (!brief || total !== undefined) progress.report({ label, loaded, total, brief });
    });
  } finally {
    progress.finish();
  }
}

/** Says on stderr what the model is loaded without. @throws PronkError */
export async function loadForCommand(
  input: Arguments,
  cli: CliContext,
  more: HostLoadOptions = {},
): Promise<{ model: LoadedModel; runtime: Runtime }> {
  const { host, env, fetch, signal } = cli;
  const budget = budgetOption(input);
  const { simdWidth, ...typed } = modelOptions(input);
  if (budget !== undefined && input.values.stages !== undefined) {
    throw new UsageError("--stages: not with --budget");
  }
  const urls = stageUrls(input);
  if (urls) return connectForCommand(input, cli, urls, { ...typed, ...more }, simdWidth);
  const asked = { ...typed, ...more };
  const options =
    budget === undefined
      ? asked
      : { ...asked, ...(await formForBudget(input, cli, budget, asked)) };
  const runtime = await createRuntime(host, simdWidth);
  const model = await withProgress(cli, (onProgress) =>
    loadNamedModel(host, modelName(input, cli), runtime, {
      ...options,
      ...signedBy(input, cli),
      env,
      fetch,
      signal,
      onProgress(stage) {
        onProgress(stage);
        more.onProgress?.(stage);
      },
    }),
  );
  for (const note of model.info.notes ?? []) cli.note(`pronk: ${note}\n`);
  return { model, runtime };
}

/** Of a model that is in stages elsewhere, what a front has. */
async function connectForCommand(
  input: Arguments,
  cli: CliContext,
  urls: readonly string[],
  { slots, kv }: HostLoadOptions,
  simdWidth: SimdWidth,
): Promise<{ model: LoadedModel; runtime: Runtime }> {
  const { host, env, signal } = cli;
  const runtime = await createRuntime(host, simdWidth);
  const named = await openForCommand(input, cli);
  try {
    if (!("pack" in named.input))
      throw new UsageError("--stages: only of a pack; pronk pack makes one");
    const { connectStages, openStagedPack } = await import("../engine/load-staged.ts");
    const { connectStage } = await import("../platform/host/stage-socket.ts");
    const pack = await openStagedPack(named.input.pack, runtime, { kv, signal });
    const key = env.PRONK_STAGE_KEY || undefined;
    const addresses = urls.map((url) => ({ name: url, connect: () => connectStage(url, key) }));
    const options = { id: named.id, slots, signal };
    return { model: await connectStages(pack, addresses, runtime, options), runtime };
  } finally {
    await named.close();
  }
}

/** What --budget chooses of a model, and the bound itself for the context. */
async function formForBudget(
  input: Arguments,
  cli: CliContext,
  budget: number,
  asked: HostLoadOptions,
): Promise<HostLoadOptions> {
  const source = await openSourceForCommand(input, cli);
  try {
    const { ctx, slots = 1, chunk, maxLogits, quantization, kv, roomFor } = asked;
    const { signal, host } = cli;
    const threads = countThreads(asked.threads, host.threads).count;
    const speculate = asked.speculate === "off" ? "off" : "lookup";
    const sizes = { ctx, slots, chunk, maxLogits, threads, speculate } as const;
    const options = { ...sizes, quantization, kv, roomFor, signal };
    const { plan: _, ...form } = await fittingForm(source.input, budget, options);
    return { ...form, slots, budgetBytes: kernelBudget(budget) };
  } finally {
    await source.close();
  }
}

/** Opens what a name stands for as it is, never made into a pack; the caller closes it. */
export function openSourceForCommand(input: Arguments, cli: CliContext): Promise<NamedModel> {
  const { host, env, fetch, signal } = cli;
  return withProgress(cli, (onPull) =>
    openUnpacked(host, modelName(input, cli), {
      ...signedBy(input, cli),
      env,
      fetch,
      signal,
      onPull,
    }),
  );
}

/** The threads of a model, and why they are fewer than asked for, where they are. */
export function threadsOf({ runner, info }: LoadedModel): { threads: number; reason?: string } {
  const { used, asked, reason } = runner.threads ?? {
    used: 1,
    asked: 2,
    reason: info.threadsReason,
  };
  return { threads: used, ...(used < asked && { reason }) };
}

/** Opens a model without loading its weights; the caller closes it. */
export function openForCommand(input: Arguments, cli: CliContext): Promise<NamedModel> {
  const { host, env, fetch, signal } = cli;
  return withProgress(cli, (onProgress) =>
    openNamedModel(host, modelName(input, cli), {
      ...weightOptions(input),
      ...signedBy(input, cli),
      env,
      fetch,
      signal,
      onProgress,
    }),
  );
}

function signedBy(input: Arguments, cli: CliContext): Pick<HostLoadOptions, "publicKey"> {
  const publicKey = publicKeysOf(input, cli);
  return publicKey === undefined ? {} : { publicKey };
}
