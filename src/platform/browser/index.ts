/**
 * pronk in browsers, and wherever there is nothing but web APIs.
 *
 * @module
 */
import {
  createEngine as createModelEngine,
  type EngineOptions,
} from "../../engine/create-engine.ts";
import type { Engine } from "../../engine/engine.ts";
import {
  type EngineAdapters,
  loadAdapters,
  type OpenAdapter,
  openAdapters,
} from "../../engine/load-adapters.ts";
import { type LoadOptions, loadModel } from "../../engine/load-model.ts";
import type { ModelInput } from "../../engine/opened-model.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { now, randomSeed, wallClock } from "../clock.ts";
import { loadKernels } from "./kernels.ts";
import { openAdapterFolder } from "./open-adapter.ts";
import { openModel } from "./open-model.ts";
import { createThreads } from "./threads.ts";
import { yieldTask } from "./yield.ts";

export interface CreateEngineOptions
  extends Omit<LoadOptions, "roomFor">,
    Omit<EngineOptions, "openAdapter">,
    EngineAdapters {
  /** Compiled modules, where a bundler or a policy keeps the package from fetching its own. */
  readonly kernels?: Runtime["kernels"];
  readonly fetch?: typeof fetch;
  /** Default: https://huggingface.co */
  readonly hub?: string;
}

/**
 * Loads a model and runs it: a known name, `hf:OWNER/REPO[@REVISION][:FILE]`, the URL of a GGUF file
 * or a pack; or an opened pack or GGUF file.
 *
 * @throws PronkError
 */
export async function createEngine(
  model: string | ModelInput,
  options: CreateEngineOptions = {},
): Promise<Engine> {
  const kernels = options.kernels ?? (await loadKernels());
  const threads = createThreads();
  const runtime: Runtime = { kernels, threads, yieldTask, now, wallClock, randomSeed };
  const { fetch = globalThis.fetch.bind(globalThis), hub, signal } = options;
  const openAdapter: OpenAdapter = (name) => openAdapterFolder(name, { fetch, hub });
  const opened = await openAdapters(options, openAdapter, signal);
  const named =
    typeof model === "string"
      ? await openModel(model, { fetch, hub, signal })
      : { id: undefined, input: model };
  const { speculate = "lookup" } = options;
  const loaded = await loadModel(named.input, runtime, {
    ...options,
    speculate,
    roomFor: opened.map(({ adapter }) => adapter),
    id: options.id ?? named.id,
  });
  const engine = createModelEngine(loaded, runtime, { ...options, openAdapter });
  return loadAdapters(engine, opened, options, signal);
}

export { PronkError } from "../../errors.ts";
export { httpFolder, httpSource } from "../../sources/http.ts";
export { retrying, retryingFolder } from "../../sources/retrying.ts";
export * from "../types.ts";
export * from "./models.ts";
