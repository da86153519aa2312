/** From a model's name, its URL or an opened model to an engine, in a page or a worker. */
import { assembleEngine, type EngineOptions } from "../../engine/assemble-engine.ts";
import type { Engine } from "../../engine/engine.ts";
import { LazyGrammars, loadGrammars } from "../../engine/lazy-grammars.ts";
import type { EngineAdapters, OpenAdapter } from "../../engine/load-adapters.ts";
import { type LoadOptions, loadModel } from "../../engine/load-model.ts";
import type { ModelInput } from "../../engine/opened-model.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { signedInput } from "../../engine/signed-input.ts";
import { now, randomSeed, wallClock } from "../clock.ts";
import { browserGpu } from "./gpu.ts";
import { loadKernels } from "./kernels.ts";
import { createThreads } from "./threads.ts";
import { yieldTask } from "./yield.ts";

export interface CreateEngineOptions
  extends Omit<LoadOptions, "roomFor" | "close">,
    Omit<EngineOptions, "openAdapter">,
    EngineAdapters {
  /** Compiled modules, where a bundler or a policy keeps the package from fetching its own. */
  readonly kernels?: Runtime["kernels"];
  readonly fetch?: typeof fetch;
  /**
   * When code that plain chats need not is fetched (grammars; Jinja, for templates that are known): with the model, or by
   * the first generation that has a grammar, before which checkGrammar() throws "loading". Default "now".
   */
  readonly code?: "now" | "later";
  /** Default: https://huggingface.co */
  readonly hub?: string;
  /** `ed25519:...`: the model is a pack that this key has signed, or one of several, or is not loaded. Default: anybody's. */
  readonly publicKey?: string | readonly string[];
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
  const kernels = options.kernels ?? (await loadKernels(options.kernel));
  const threads = createThreads();
  const gpu = browserGpu();
  const runtime: Runtime = { kernels, threads, gpu, yieldTask, now, wallClock, randomSeed };
  const { fetch = globalThis.fetch.bind(globalThis), hub, signal } = options;
  // What not every engine needs is loaded where it is asked for: adapters and their formats, the hub.
  const openAdapter: OpenAdapter = async (name) =>
    (await import("./open-adapter.ts")).openAdapterFolder(name, { fetch, hub });
  const adapters =
    options.adapters === undefined ? undefined : await import("../../engine/load-adapters.ts");
  const opened = (await adapters?.openAdapters(options, openAdapter, signal)) ?? [];
  const named =
    typeof model === "string"
      ? await (await import("./open-model.ts")).openModel(model, { fetch, hub, signal })
      : { id: undefined, input: model };
  const { speculate = "lookup" } = options;
  const input = signedInput(named.input, options.publicKey);
  const loaded = await loadModel(input, runtime, {
    ...options,
    speculate,
    plainTemplates: options.code === "later",
    roomFor: opened.map(({ adapter }) => adapter),
    id: options.id ?? named.id,
  });
  if (options.code !== "later") await loadGrammars();
  const grammars = new LazyGrammars(loaded.tokenizer);
  const engine = assembleEngine(loaded, runtime, grammars, { ...options, openAdapter });
  return adapters?.loadAdapters(engine, opened, options, signal) ?? engine;
}
