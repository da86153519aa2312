/** From a model's name to an engine, on a host with files. */
import { createHash } from "node:crypto";
import { createEngine, type EngineOptions } from "../../engine/create-engine.ts";
import type { Engine } from "../../engine/engine.ts";
import {
  type EngineAdapters,
  loadAdapters,
  type OpenAdapter,
  type OpenedAdapter,
  openAdapters,
} from "../../engine/load-adapters.ts";
import { type LoadOptions, loadModel } from "../../engine/load-model.ts";
import type { LoadedModel } from "../../engine/loaded-model.ts";
import type { ModelInput } from "../../engine/opened-model.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { signedInput } from "../../engine/signed-input.ts";
import { PronkError } from "../../errors.ts";
import { DEFAULT_MODEL } from "../../hub/known-models.ts";
import { now, randomSeed, wallClock } from "../clock.ts";
import type { Environment } from "./cache-folder.ts";
import { freeBytes } from "./free-memory.ts";
import type { Host } from "./host.ts";
import { loadKernels, readKernel } from "./kernels.ts";
import { openAdapterFolder } from "./open-adapter.ts";
import { type NamedModel, openModel } from "./open-model.ts";
import type { SimdWidth } from "./simd-width.ts";

/** Where loading stands. */
export interface LoadStage {
  readonly phase: "download" | "wheel" | "verify" | "pack" | "load";
  /** The file at hand, while it is being downloaded. */
  readonly file?: string;
  /** Bytes. */
  readonly loaded: number;
  readonly total: number | undefined;
}

export interface HostLoadOptions extends Omit<LoadOptions, "onProgress" | "speculate" | "close"> {
  /**
   * Where tokens to be run ahead come from: nowhere, the text itself, or also a smaller model with the
   * same tokens. The output is the same. Default "lookup"; takes 3 MB at 49,152 tokens.
   */
  readonly speculate?: "off" | "lookup" | { readonly draft: string | ModelInput };
  readonly onProgress?: (stage: LoadStage) => void;
  /**
   * `ed25519:...`, as `pronk keygen` prints it, or several: the model is a pack that one of them has signed, or is not
   * loaded. A draft model is not asked for one. Default: anybody's.
   */
  readonly publicKey?: string | readonly string[];
  /** Default: the process's. */
  readonly env?: Environment;
  readonly fetch?: typeof fetch;
}

export type CreateEngineOptions = Omit<HostLoadOptions, "roomFor"> &
  Omit<EngineOptions, "speculate" | "openAdapter"> &
  EngineAdapters & {
    /**
     * Bits of WebAssembly's vectors. 256 reads prompts 1.7 times as fast, by a flag of V8 that is
     * experimental and holds for the process: every WebAssembly module compiled after it, whoever's, is
     * compiled with it. "auto": 256 on Node 26 on x64 Linux with AVX2. The output is the same.
     * Default 128, which leaves the flag alone.
     */
    readonly simdWidth?: SimdWidth;
  };

/** What was damaged in the cache can be made again. */
const REPAIRABLE = ["corrupt", "not_found", "bad_format"];

/** The model that commands and servers use when none is named. */
export function defaultModel(env: Environment): string {
  return env.PRONK_MODEL || DEFAULT_MODEL;
}

/** By node:crypto, in place: half the time of WebCrypto, which copies the shard first. */
async function digest(bytes: Uint8Array): Promise<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(bytes).digest()).buffer;
}

/**
 * Kernels, clocks and yields of this host.
 *
 * @throws PronkError "unsupported" when vectors of this width cannot be had; as loadKernels.
 */
export async function createRuntime(host: Host, simdWidth: SimdWidth): Promise<Runtime> {
  const vectors = host.setSimdWidth(simdWidth);
  const kernels = await loadKernels(host, vectors);
  const readKernels = (name: "plain" | "relaxed") => readKernel(host, name, vectors);
  const threads = { ...host.threads, readKernels };
  const { yieldTask, gpu } = host;
  return { kernels, threads, gpu, yieldTask, digest, now, wallClock, randomSeed, freeBytes };
}

/** openModel with this module's options. */
export function openNamedModel(
  host: Host,
  name: string,
  options: HostLoadOptions,
): Promise<NamedModel> {
  const { quantization, profile, signal, onProgress, publicKey } = options;
  return openModel(host, name, {
    env: options.env ?? process.env,
    fetch: options.fetch ?? host.fetch,
    quantization,
    profile,
    signal,
    ...(publicKey !== undefined && { publicKey }),
    onPull: onProgress,
    onPack: ({ packed, total }) => onProgress?.({ phase: "pack", loaded: packed, total }),
  });
}

/**
 * Loads a model by name, path or URL; a damaged pack of the cache is made anew, once.
 *
 * @throws PronkError
 */
export async function loadNamedModel(
  host: Host,
  model: string | ModelInput,
  runtime: Runtime,
  options: HostLoadOptions = {},
): Promise<LoadedModel> {
  const load = (
    input: ModelInput,
    id?: string,
    close?: () => Promise<void>,
  ): Promise<LoadedModel> => {
    // Says that the model was found, before anything of it is read.
    options.onProgress?.({ phase: "load", loaded: 0, total: undefined });
    const { speculate = "lookup", ...rest } = options;
    return loadModel(input, runtime, {
      ...rest,
      speculate: speculate === "off" ? "off" : "lookup",
      id: options.id ?? id,
      ...(close && { close }),
      onProgress: ({ loaded, total }) => options.onProgress?.({ phase: "load", loaded, total }),
    });
  };
  if (typeof model !== "string") return load(signedInput(model, options.publicKey));
  const { input, id, repair, close } = await openNamedModel(host, model, options);
  try {
    return await load(input, id, close);
  } catch (error) {
    try {
      if (!repair || !(error instanceof PronkError) || !REPAIRABLE.includes(error.code))
        throw error;
      await repair();
      return await load(input, id, close);
    } catch (last) {
      await close();
      throw last;
    }
  }
}

/**
 * An engine for a model by name, path or URL, or for an opened pack or GGUF file.
 *
 * @throws PronkError
 */
export async function createHostEngine(
  host: Host,
  model: string | ModelInput,
  options: CreateEngineOptions = {},
): Promise<Engine> {
  const opened = await openHostAdapters(host, options);
  const roomFor = opened.map(({ adapter }) => adapter);
  const runtime = await createRuntime(host, options.simdWidth ?? 128);
  const loaded = await loadNamedModel(host, model, runtime, { ...options, roomFor });
  return startEngine(host, loaded, runtime, options, opened);
}

/**
 * An engine over a loaded model, which is freed when there is none; with its adapters; with the draft
 * model loaded, where one is named, in as many slots, and positions as far as its own limit allows.
 *
 * @throws PronkError as loadNamedModel and createEngine.
 */
export async function startEngine(
  host: Host,
  model: LoadedModel,
  runtime: Runtime,
  options: CreateEngineOptions,
  opened: readonly OpenedAdapter[],
): Promise<Engine> {
  const { speculate = "lookup", env, fetch, signal, kernel, backend, threads } = options;
  const { slots, ctx } = model.runner;
  const openAdapter = adapterOpener(host, options);
  let draft: LoadedModel | undefined;
  let engine: Engine;
  try {
    if (typeof speculate === "object") {
      draft = await loadNamedModel(host, speculate.draft, runtime, {
        ...{ env, fetch, signal, kernel, backend, threads },
        slots,
        maxCtx: ctx,
        speculate: "off",
      });
    }
    const source = typeof speculate === "string" ? speculate : draft && { draft };
    engine = createEngine(model, runtime, { ...options, speculate: source, openAdapter });
  } catch (error) {
    model.runner.dispose();
    draft?.runner.dispose();
    throw error;
  }
  return loadAdapters(engine, opened, options, signal);
}

/** The adapters of an engine that is to be, which its model's plan has to have room for. */
export function openHostAdapters(
  host: Host,
  options: CreateEngineOptions,
): Promise<OpenedAdapter[]> {
  return openAdapters(options, adapterOpener(host, options), options.signal);
}

function adapterOpener(host: Host, options: HostLoadOptions): OpenAdapter {
  const { env = process.env, fetch = host.fetch, onProgress } = options;
  return (name, signal) => openAdapterFolder(host, name, { env, fetch, signal, onProgress });
}
