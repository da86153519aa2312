/** From a model's name to the pack that is deployed, and how it runs in an isolate. */
import { join } from "node:path";
import type { FittingForm } from "../../engine/budget-choice.ts";
import { packModel } from "../../engine/pack-model.ts";
import { signedPack } from "../../pack/checked-folder.ts";
import { readManifest } from "../../pack/loader.ts";
import { MANIFEST_NAME, type Manifest } from "../../pack/manifest.ts";
import { manifestChecksum } from "../../pack/manifest-check.ts";
import { publicKeyOf, signManifest } from "../../pack/signature.ts";
import { directoryFolder, directoryTarget } from "../../platform/host/directory.ts";
import { openUnpacked, type SourceModel } from "../../platform/host/open-model.ts";
import { memorySource } from "../../sources/memory.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { choiceOption, integerOption } from "../arguments.ts";
import { fittingForm } from "../budget.ts";
import type { Arguments, CliContext } from "../command.ts";
import { kvOption, modelName, weightOptions, withProgress } from "../model-options.ts";
import { publicKeysOf, signingKeyOf } from "../signing-options.ts";
import {
  type Asked,
  type Fit,
  fitTopology,
  ISOLATE_BYTES,
  isTooLarge,
  MAX_CTX,
  TOPOLOGIES,
  type WorkerSettings,
} from "./topology.ts";

/** Of one front: each is a binding of it, and an isolate of Cloudflare's. */
const MAX_ENGINES = 100;

export interface PreparedPack {
  readonly folder: SourceFolder;
  readonly manifest: Manifest;
  /** The manifest's checksum. */
  readonly release: string;
  /** Whose signature Workers ask for; undefined: nobody's. */
  readonly publicKeys?: readonly string[];
}

/** A pack, and how Workers run it. */
export type FittedPack = PreparedPack & Fit;

/**
 * The pack that a name stands for; of anything else, one is made under `out`, in the best form that fits.
 *
 * @throws PronkError as openModel, fittingForm and packModel.
 */
export async function preparePack(
  input: Arguments,
  cli: CliContext,
  out: string,
): Promise<PreparedPack> {
  const signingKey = await signingKeyOf(input);
  // What is signed now is whatever is deployed; else it has to have been signed before.
  const own = signingKey === undefined ? undefined : await publicKeyOf(signingKey);
  const publicKeys = publicKeysOf(input, cli) ?? (own === undefined ? undefined : [own]);
  const publicKey = signingKey === undefined ? publicKeys : undefined;
  const pack = await openOrPack(input, cli, out, publicKey);
  const signed = signingKey === undefined ? pack : await withSignature(pack, signingKey);
  if (publicKeys === undefined) return signed;
  // As Workers will, before anything is sent.
  await readManifest(signedPack(signed.folder, publicKeys), cli.signal);
  return { ...signed, publicKeys };
}

function openOrPack(
  input: Arguments,
  cli: CliContext,
  out: string,
  publicKey: readonly string[] | undefined,
): Promise<PreparedPack> {
  const { host, env, fetch, signal } = cli;
  return withProgress(cli, async (onProgress) => {
    const keys = publicKey && { publicKey };
    const options = { env, fetch, signal, onPull: onProgress, ...keys };
    const opened = await openUnpacked(host, modelName(input, cli), options);
    try {
      if ("pack" in opened.input) return await readPack(opened.input.pack, signal);
      const source = opened as SourceModel;
      const form = await formFor(source, input, signal);
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

/** What is packed: the best form that fits one isolate, else a small one, which fewer stages can hold. */
async function formFor(
  { input: source }: SourceModel,
  input: Arguments,
  signal: AbortSignal,
): Promise<Pick<FittingForm, "quantization" | "profile" | "kv">> {
  const { topology, ctx, slots, kv } = askedFor(input);
  const weights = weightOptions(input);
  const { quantization = "auto", profile = "small" } = weights;
  const staged = { quantization, profile, kv: kv ?? "int8" } as const;
  if (topology === "stages") return staged;
  try {
    const options = { ...weights, kv, ctx, slots, maxCtx: MAX_CTX, signal };
    return await fittingForm(source, ISOLATE_BYTES, options);
  } catch (error) {
    if (topology === "auto" && isTooLarge(error)) return staged;
    throw error;
  }
}

/** @throws PronkError as fitTopology. */
export async function fitPack(
  pack: PreparedPack,
  input: Arguments,
  signal: AbortSignal,
): Promise<FittedPack> {
  const fit = await fitTopology(pack.folder, pack.manifest, askedFor(input), signal);
  return { ...pack, ...fit };
}

/** How a pack that is in a bucket runs, where no release says so. */
export async function settingsOf(
  bytes: Uint8Array,
  input: Arguments,
  signal: AbortSignal,
): Promise<WorkerSettings> {
  const folder: SourceFolder = {
    name: "the release",
    open: async (name) => memorySource(bytes, name),
  };
  const manifest = await readManifest(folder, signal);
  return (await fitTopology(folder, manifest, askedFor(input), signal)).settings;
}

/** @throws UsageError */
function askedFor(input: Arguments): Asked {
  return {
    topology: choiceOption(input, "topology", TOPOLOGIES) ?? "auto",
    slots: integerOption(input, "slots", 1) ?? 1,
    ctx: integerOption(input, "ctx", 1),
    kv: kvOption(input),
    engines: integerOption(input, "engines", 1, MAX_ENGINES) ?? 1,
  };
}

/** The same objects under the same manifest, signed. */
async function withSignature(pack: PreparedPack, signingKey: string): Promise<PreparedPack> {
  const { folder } = pack;
  const manifest = await signManifest(pack.manifest, signingKey);
  const json = new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`);
  const signed: SourceFolder = {
    name: folder.name,
    open: async (name, signal, size) =>
      name === MANIFEST_NAME ? memorySource(json, name) : folder.open(name, signal, size),
  };
  return { ...pack, folder: signed, manifest };
}

async function readPack(folder: SourceFolder, signal: AbortSignal): Promise<PreparedPack> {
  const manifest = await readManifest(folder, signal);
  const release = manifest.checksum ?? (await manifestChecksum(manifest));
  return { folder, manifest, release };
}
