/** pronk pack: a model's file as the folder of shards that Workers load. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { gatherImportance } from "../engine/gather-importance.ts";
import { withLora } from "../engine/merged-source.ts";
import { packModel } from "../engine/pack-model.ts";
import { PronkError } from "../errors.ts";
import type { Importance } from "../pack/importance.ts";
import { MANIFEST_NAME, type Manifest } from "../pack/manifest.ts";
import { createRuntime } from "../platform/host/create-engine.ts";
import { directoryTarget } from "../platform/host/directory.ts";
import { openSourceModel, type SourceModel } from "../platform/host/open-model.ts";
import type { SimdWidth } from "../platform/host/simd-width.ts";
import { bytesOption, flagOption, integerOption, textOption, UsageError } from "./arguments.ts";
import { BUDGET_OPTION, budgetOption, fittingForm } from "./budget.ts";
import type { CliContext, Command } from "./command.ts";
import { LORA_MERGE_OPTION } from "./lora-options.ts";
import { mergedAdapters } from "./merged-adapters.ts";
import {
  JSON_OPTION,
  KV_OPTION,
  kvOption,
  modelName,
  SIMD_WIDTH_OPTION,
  simdWidthOption,
  WEIGHT_OPTIONS,
  weightOptions,
  withProgress,
} from "./model-options.ts";
import { createProgress } from "./progress.ts";
import { SIGN_OPTION, signingKeyOf } from "./signing-options.ts";

export const pack: Command = {
  name: "pack",
  group: "Get and make models",
  summary: "write a model as a pack: a manifest and content-addressed shards",
  examples: [
    {
      line: "pronk pack model.gguf --out packed",
      does: "a manifest and shards, which every runtime loads without work",
    },
    {
      line: "pronk pack --out small --budget 128MB",
      does: "the best form that fits one isolate of Cloudflare Workers",
    },
  ],
  positionals: "[INPUT] --out DIR",
  maxPositionals: 1,
  options: {
    out: { type: "string", value: "DIR", help: "where the pack is written" },
    "shard-size": { type: "string", value: "SIZE", help: "at most, default 16MiB" },
    ...BUDGET_OPTION,
    ctx: { type: "string", value: "N", help: "with --budget: positions to have room for" },
    slots: { type: "string", value: "N", help: "with --budget: sequences at a time, default 1" },
    kv: KV_OPTION,
    importance: {
      type: "string",
      value: "FILE",
      help: "a text: what matters to it is kept best (of float weights, with --quant q4)",
    },
    ...SIGN_OPTION,
    ...LORA_MERGE_OPTION,
    ...SIMD_WIDTH_OPTION,
    ...WEIGHT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const out = textOption(input, "out");
    if (!out) throw new UsageError("--out DIR is missing");
    const shardBytes = bytesOption(input, "shard-size");
    const budget = budgetOption(input);
    const asked = { ...weightOptions(input), kv: kvOption(input) };
    const room = {
      ctx: integerOption(input, "ctx", 1),
      slots: integerOption(input, "slots", 1) ?? 1,
    };
    if (budget === undefined && (input.values.ctx ?? input.values.slots) !== undefined) {
      throw new UsageError("--ctx and --slots say what --budget must have room for");
    }
    const simdWidth = simdWidthOption(input);
    const signingKey = await signingKeyOf(input);
    const text = await readText(textOption(input, "importance"));
    const { host, env, fetch, signal } = cli;
    const started = performance.now();
    const adapters = await mergedAdapters(input, cli);
    const { manifest, path } = await withProgress(cli, async (onProgress) => {
      const opened = await openSourceModel(host, modelName(input, cli), {
        env,
        fetch,
        signal,
        onPull: onProgress,
      });
      try {
        const source = { ...opened, input: withLora(opened.input, adapters) };
        const { quantization, profile, kv } =
          budget === undefined
            ? asked
            : await fittingForm(source.input, budget, { ...asked, ...room, signal });
        const target = directoryTarget(resolve(out));
        const manifest = await packModel(source.input, target, {
          id: source.id,
          quantization,
          profile,
          kv,
          shardBytes,
          ...(signingKey !== undefined && { signingKey }),
          license: source.license,
          sourceSha256: source.sha256,
          importance:
            text === undefined ? undefined : () => importanceOf(source, text, simdWidth, cli),
          signal,
          onProgress: ({ packed, total }) => onProgress({ phase: "pack", loaded: packed, total }),
        });
        return { manifest, path: target.name };
      } finally {
        await opened.close();
      }
    });
    const seconds = Math.round(performance.now() - started) / 1000;
    const { shards, weight_bytes, quantization } = manifest;
    const bytes = weight_bytes + (manifest.tokenizer?.bytes ?? 0);
    // The manifest names every other object by its hash, so its own stands for the whole pack.
    const json = await readFile(join(path, MANIFEST_NAME));
    const sha256 = createHash("sha256").update(json).digest("hex");
    const signer = manifest.signature ? `, signed by ${manifest.signature.public_key}` : "";
    cli.out(
      flagOption(input, "json")
        ? `${JSON.stringify({ path, bytes, shards: shards.length, sha256, seconds })}\n`
        : `${path}: ${shards.length} shards, ${bytes} bytes, ${describeForm(quantization)}${signer}\n`,
    );
  },
};

async function readText(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  return readFile(path, "utf8").catch((cause: Error) => {
    throw new PronkError("not_found", `${path}: ${cause.message}`, { cause });
  });
}

/** Runs the model over the text, with progress on stderr. */
async function importanceOf(
  source: SourceModel,
  text: string,
  simdWidth: SimdWidth,
  cli: CliContext,
): Promise<Importance> {
  const progress = createProgress(cli);
  try {
    return await gatherImportance(source.input, text, await createRuntime(cli.host, simdWidth), {
      signal: cli.signal,
      onProgress: (loaded, total) =>
        progress.report({ label: "reading", loaded, total, unit: "tokens" }),
    });
  } finally {
    progress.finish();
  }
}

function describeForm({ requested, profile, kv }: Manifest["quantization"]): string {
  return `${requested}, ${profile} profile, ${kv} cache`;
}
