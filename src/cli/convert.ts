/** pronk convert: a checkpoint in another form, tensor by tensor. */
import { resolve } from "node:path";
import { mergeLora } from "../adapters/merge-lora.ts";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { parseDtype } from "../checkpoints/dtype.ts";
import { LLAMA_VERSIONS } from "../checkpoints/meta-config.ts";
import { checkModelSize } from "../checkpoints/model-sizes.ts";
import { saveGguf } from "../checkpoints/save-gguf.ts";
import { saveHfDirectory } from "../checkpoints/save-hf.ts";
import { saveMetaDirectory } from "../checkpoints/save-meta.ts";
import { withLora } from "../engine/merged-source.ts";
import { packModel } from "../engine/pack-model.ts";
import type { FloatType } from "../formats/float-tensor.ts";
import { writeOutput } from "../formats/output-file.ts";
import { directoryTarget } from "../platform/host/directory.ts";
import { openNamedCheckpoint } from "../platform/host/open-checkpoint.ts";
import { openSourceModel } from "../platform/host/open-model.ts";
import { outputFolder } from "../platform/host/output-folder.ts";
import { bytesOption, choiceOption, flagOption, textOption, UsageError } from "./arguments.ts";
import type { Arguments, CliContext, Command } from "./command.ts";
import { LORA_MERGE_OPTION } from "./lora-options.ts";
import { mergedAdapters } from "./merged-adapters.ts";
import { JSON_OPTION, WEIGHT_OPTIONS, weightOptions } from "./model-options.ts";
import { createProgress } from "./progress.ts";

const TARGETS = ["hf", "gguf", "pack", "meta"] as const;
type Target = (typeof TARGETS)[number];

const DTYPES = ["f32", "f16", "bf16", "float32", "float16", "bfloat16"] as const;
const QUANTIZED = ["q8_0", "q4_0", "q4_1"] as const;

const GGUF_NAME = "model.gguf";

export const convert: Command = {
  name: "convert",
  group: "Get and make models",
  summary: "write a checkpoint in another form: Hugging Face, GGUF, pack, Meta",
  examples: [
    {
      line: "pronk convert model.gguf --to hf --out checkpoint --dtype bf16",
      does: "a GGUF file as a folder that transformers reads",
    },
    {
      line: "pronk convert checkpoint --to gguf --out gguf --dtype q8_0",
      does: "and back, quantized",
    },
  ],
  positionals: "INPUT --to FORM --out DIR",
  maxPositionals: 1,
  options: {
    to: { type: "string", value: "FORM", help: `${TARGETS.join("|")}; default hf` },
    out: { type: "string", value: "DIR", help: "where it is written" },
    dtype: {
      type: "string",
      value: "T",
      help: `${DTYPES.slice(0, 3).join("|")}, of GGUF also ${QUANTIZED.join("|")}; default: as it is`,
    },
    "max-shard-size": { type: "string", value: "SIZE", help: "of hf; default 5GB" },
    ...LORA_MERGE_OPTION,
    ...WEIGHT_OPTIONS,
    input_dir: { type: "string", value: "DIR", help: "INPUT, as transformers' script calls it" },
    output_dir: { type: "string", value: "DIR", help: "--out, as transformers' script calls it" },
    model_size: { type: "string", value: "7B", help: "checked against the checkpoint" },
    llama_version: {
      type: "string",
      value: "V",
      help: `of Meta's params.json, ${LLAMA_VERSIONS.join("|")}; default: by its fields`,
    },
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const name = either(input.positionals[0], textOption(input, "input_dir"), "INPUT");
    const out = resolve(
      either(textOption(input, "out"), textOption(input, "output_dir"), "--out DIR"),
    );
    const to = choiceOption(input, "to", TARGETS) ?? "hf";
    refuseStrangers(input, to);
    const started = performance.now();
    const files = await write(to, name, out, input, cli);
    const seconds = Math.round(performance.now() - started) / 1000;
    cli.out(
      flagOption(input, "json")
        ? `${JSON.stringify({ path: out, to, files, seconds })}\n`
        : `${out}: ${to}, ${files.length} files: ${files.slice(0, 8).join(", ")}${files.length > 8 ? ", ..." : ""}\n`,
    );
  },
};

function either(a: string | undefined, b: string | undefined, what: string): string {
  if (a !== undefined && b !== undefined && a !== b) throw new UsageError(`${what} is given twice`);
  const found = a ?? b;
  if (found === undefined) throw new UsageError(`${what} is missing`);
  return found;
}

/** Options that another form has are mistakes, not wishes. */
function refuseStrangers(input: Arguments, to: Target): void {
  const only = {
    "max-shard-size": "hf",
    quant: "pack",
    "group-size": "pack",
    profile: "pack",
  } as const;
  for (const [option, owner] of Object.entries(only)) {
    if (input.values[option] !== undefined && to !== owner) {
      throw new UsageError(`--${option} is for --to ${owner}`);
    }
  }
  if (to === "pack" && input.values.dtype !== undefined) {
    throw new UsageError("--dtype: a pack's weights are chosen by --quant");
  }
}

/** @returns the names of the files written. */
async function write(
  to: Target,
  name: string,
  out: string,
  input: Arguments,
  cli: CliContext,
): Promise<string[]> {
  const { host, env, fetch, signal } = cli;
  const progress = createProgress(cli);
  const onProgress = ({ written, total }: { written: number; total: number }): void =>
    progress.report({ label: `writing ${to}`, loaded: written, total });
  const llama_version = choiceOption(input, "llama_version", LLAMA_VERSIONS);
  const open = { env, fetch, signal, llama_version };
  try {
    const adapters = await mergedAdapters(input, cli);
    // A GGUF's quantized blocks go into a pack as they are, not by way of floats.
    const asked = textOption(input, "model_size") ?? llama_version;
    if (to === "pack" && asked === undefined) {
      const source = await openSourceModel(host, name, open);
      try {
        const { input: model, id, license, sha256: sourceSha256 } = source;
        const merged = withLora(model, adapters);
        const manifest = await packModel(merged, directoryTarget(out), {
          ...weightOptions(input),
          ...{ id, license, sourceSha256, signal },
          onProgress: ({ packed, total }) => onProgress({ written: packed, total }),
        });
        return ["manifest.json", ...manifest.shards.map(({ sha256 }) => `${sha256}.bin`)];
      } finally {
        await source.close();
      }
    }
    const { checkpoint, close } = await openNamedCheckpoint(host, name, open);
    try {
      const size = textOption(input, "model_size");
      if (size !== undefined) checkModelSize(size, checkpoint.config, checkpoint.name);
      const merged = adapters.length > 0 ? mergeLora(checkpoint, adapters) : checkpoint;
      return await writeCheckpoint(to, merged, out, input, { signal, onProgress });
    } finally {
      await close();
    }
  } finally {
    progress.finish();
  }
}

async function writeCheckpoint(
  to: Target,
  checkpoint: Checkpoint,
  out: string,
  input: Arguments,
  options: {
    readonly signal: AbortSignal;
    readonly onProgress: (progress: { written: number; total: number }) => void;
  },
): Promise<string[]> {
  const folder = outputFolder(out);
  switch (to) {
    case "hf": {
      const maxShardBytes = bytesOption(input, "max-shard-size");
      const dtype = floatOption(input);
      return saveHfDirectory(checkpoint, folder, { dtype, maxShardBytes, ...options });
    }
    case "gguf": {
      const quantized = QUANTIZED.find(
        (type) => type === textOption(input, "dtype")?.toLowerCase(),
      );
      const type = quantized
        ? (quantized.toUpperCase() as "Q8_0" | "Q4_0" | "Q4_1")
        : floatOption(input);
      const put = (file: Parameters<typeof saveGguf>[1]): Promise<void> =>
        saveGguf(checkpoint, file, { type, ...options });
      await writeOutput(folder, GGUF_NAME, put, options.signal);
      return [GGUF_NAME];
    }
    case "meta":
      return saveMetaDirectory(checkpoint, folder, { dtype: floatOption(input), ...options });
    case "pack": {
      const { signal, onProgress } = options;
      const manifest = await packModel({ checkpoint }, directoryTarget(out), {
        ...weightOptions(input),
        signal,
        onProgress: ({ packed, total }) => onProgress({ written: packed, total }),
      });
      return ["manifest.json", ...manifest.shards.map(({ sha256 }) => `${sha256}.bin`)];
    }
  }
}

function floatOption(input: Arguments): FloatType | undefined {
  const name = choiceOption(input, "dtype", DTYPES);
  return name && parseDtype(name);
}
