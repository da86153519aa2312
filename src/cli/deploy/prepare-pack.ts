/** From a model's name to the pack that is deployed, and how it runs in an isolate. */
import { join } from "node:path";
import type { FittingForm } from "../../engine/budget-choice.ts";
import type { ModelPlan } from "../../engine/load-model.ts";
import { packModel } from "../../engine/pack-model.ts";
import { readManifest } from "../../pack/loader.ts";
import type { Manifest } from "../../pack/manifest.ts";
import { manifestChecksum } from "../../pack/manifest-check.ts";
import { directoryFolder, directoryTarget } from "../../platform/host/directory.ts";
import { openUnpacked, type SourceModel } from "../../platform/host/open-model.ts";
import { memorySource } from "../../sources/memory.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { integerOption } from "../arguments.ts";
import { fittingForm } from "../budget.ts";
import type { Arguments, CliContext } from "../command.ts";
import { kvOption, modelName, weightOptions, withProgress } from "../model-options.ts";
import type { WorkerSettings } from "./project.ts";

/** What Cloudflare gives an isolate, JavaScript's part included. */
export const ISOLATE_BYTES = 128_000_000;

/** As of createWorker(): a chat of some 700 words. */
const MAX_CTX = 1024;

export interface PreparedPack {
  readonly folder: SourceFolder;
  readonly manifest: Manifest;
  /** The manifest's checksum. */
  readonly release: string;
}

/** A pack, and how a Worker runs it. */
export interface FittedPack extends PreparedPack {
  readonly settings: WorkerSettings;
  /** Of the isolate that holds the model. */
  readonly plan: ModelPlan;
}

/**
 * The pack that a name stands for; of anything else, one is made under `out`, in the best form that fits an isolate.
 *
 * @throws PronkError "out_of_memory" with the plan's numbers; as openModel and packModel.
 */
export function preparePack(input: Arguments, cli: CliContext, out: string): Promise<PreparedPack> {
  const { host, env, fetch, signal } = cli;
  return withProgress(cli, async (onProgress) => {
    const options = { env, fetch, signal, onPull: onProgress };
    const opened = await openUnpacked(host, modelName(input, cli), options);
    try {
      if ("pack" in opened.input) return await readPack(opened.input.pack, signal);
      const source = opened as SourceModel;
      const asked = { ...askedFor(input), signal };
      const form = await fittingForm(source.input, ISOLATE_BYTES, asked);
      const path = join(out, "pack");
      const { quantization, profile, kv } = form;
      await packModel(source.input, directoryTarget(path), {
        id: source.id,
        quantization,
        profile,
        kv,
        license: source.license,
        sourceSha256: source.sha256,
        signal,
        onProgress: ({ packed, total }) => onProgress({ phase: "pack", loaded: packed, total }),
      });
      return await readPack(directoryFolder(host, path), signal);
    } finally {
      await opened.close();
    }
  });
}

/** @throws PronkError "out_of_memory" with the plan's numbers, where it does not fit an isolate. */
export async function fitPack(
  pack: PreparedPack,
  input: Arguments,
  signal: AbortSignal,
): Promise<FittedPack> {
  const form = await formOf(pack.folder, askedFor(input), signal);
  return { ...pack, settings: settingsFor(form), plan: form.plan };
}

/** How a pack that is in a bucket runs, where no release says so. */
export async function settingsOf(
  manifest: Uint8Array,
  input: Arguments,
  signal: AbortSignal,
): Promise<WorkerSettings> {
  const folder: SourceFolder = {
    name: "the release",
    open: async (name) => memorySource(manifest, name),
  };
  return settingsFor(await formOf(folder, askedFor(input), signal));
}

type Asked = ReturnType<typeof askedFor>;

function askedFor(input: Arguments) {
  const slots = integerOption(input, "slots", 1) ?? 1;
  const ctx = integerOption(input, "ctx", 1);
  return { ...weightOptions(input), kv: kvOption(input), ctx, slots, maxCtx: MAX_CTX };
}

function formOf(pack: SourceFolder, asked: Asked, signal: AbortSignal): Promise<FittingForm> {
  return fittingForm({ pack }, ISOLATE_BYTES, { ...asked, signal });
}

async function readPack(folder: SourceFolder, signal: AbortSignal): Promise<PreparedPack> {
  const manifest = await readManifest(folder, signal);
  const release = manifest.checksum ?? (await manifestChecksum(manifest));
  return { folder, manifest, release };
}

function settingsFor({ kv, plan }: FittingForm): WorkerSettings {
  const { ctx, slots } = plan.runner;
  return { topology: "isolate", id: plan.model.facts.name, ctx, slots, kv };
}
