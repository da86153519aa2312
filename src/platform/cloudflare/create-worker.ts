/** A whole Worker: weights from a bucket, once an isolate; the HTTP API over them. */
import { MemoryPool } from "../../backends/wasm/memory-pool.ts";
import { createEngine, type EngineOptions, type LocalEngine } from "../../engine/create-engine.ts";
import type { Engine } from "../../engine/engine.ts";
import { ISOLATE_BYTES, ISOLATE_RESERVED_BYTES } from "../../engine/isolate-memory.ts";
import {
  type AdapterSource,
  type EngineAdapters,
  loadAdapters,
  openAdapters,
} from "../../engine/load-adapters.ts";
import { type LoadOptions, loadModel } from "../../engine/load-model.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import { type AppOptions, createApp, parseApiKeys } from "../../server/app.ts";
import type { Readiness } from "../../server/routes/health.ts";
import { retryingFolder } from "../../sources/retrying.ts";
import { readAll, type SourceFolder } from "../../sources/source.ts";
import { now, randomSeed, wallClock } from "../clock.ts";
import { boundPack } from "./bound-pack.ts";
import { type DurableObjectNamespaceLike, durableQuotaStore } from "./quota-object.ts";
import { type ResponseBinding, responseStoreOf } from "./response-stores.ts";
import { createSharedLoad } from "./shared-load.ts";
import { yieldTask } from "./yield.ts";

/** 108 MB. */
const BUDGET_BYTES = ISOLATE_BYTES - ISOLATE_RESERVED_BYTES;

/** A chat of some 700 words; the rest of the budget is the weights'. */
const MAX_CTX = 1024;

/** Of the paid plan, unless wrangler.toml says otherwise; the free plan's 10 run no model. */
const DEFAULT_CPU_MS = 30_000;

/** The rest is for the load, if this request began it, for text and JSON, and for CPUs that are slower. */
const CPU_SHARE = 0.8;

/** Decoding reads every weight: 5 ms for 92 MB on this project's machines, and as much again for slower ones. */
const STEP_MS_PER_BYTE = 10 / 92e6;

export interface WorkerOptions<Env>
  extends Pick<LoadOptions, "id" | "ctx" | "slots" | "kv" | "kernel" | "chunk" | "budgetBytes">,
    Pick<EngineOptions, "contextShift"> {
  /**
   * "lookup" runs tokens ahead that the text itself suggests: the same output, sooner where text
   * repeats. Its 3 MB (at 49,152 tokens) are taken from the context where memory is short. Default off.
   */
  readonly speculate?: "off" | "lookup";
  /**
   * Milliseconds of CPU that the platform gives a request: what `cpu_ms` in wrangler.toml says. Answers end a little
   * before, with "length" and a `resume` token. Default 30,000, as where nothing is said.
   */
  readonly cpuMs?: number;
  /** What a token takes on a Worker's CPU, in milliseconds. Default: by the weights, 10 for 92 MB. */
  readonly stepMs?: number;
  /** The package's two modules, imported by the Worker: they cannot be compiled from bytes. */
  readonly kernels: Runtime["kernels"];
  /**
   * Where the pack is: `(env) => r2Source(env.MODELS, "smollm2-135m-instruct")`. Where the variable PRONK_PUBLIC_KEY is
   * bound, it is read only as far as that key has signed it.
   */
  readonly pack: (env: Env) => SourceFolder;
  /**
   * LoRA adapters by name, each in a folder of its own: `(env) => ({ sql: r2Source(env.MODELS, "sql-lora") })`.
   * They take their part of `budgetBytes`.
   */
  readonly adapters?: (env: Env) => NonNullable<EngineAdapters["adapters"]>;
  /**
   * Names of snapshots (`pronk snapshot`) in the pack's folder: prompts that begin so are not computed. They
   * take their part of `budgetBytes`.
   */
  readonly snapshots?: readonly string[];
  /** Whether requests that name no adapters get all of them. Default true. */
  readonly applyAdapters?: boolean;
  /**
   * The app's options. Default: keys from the secret PRONK_API_KEYS, as parseApiKeys() reads them, and their
   * quotas in the Durable Object PRONK_QUOTA, where it is bound; responses in the R2 bucket, KV namespace or
   * Durable Object (ResponsesObject) PRONK_RESPONSES, where it is bound. Without `responses` none are kept.
   */
  readonly app?: (env: Env) => Omit<AppOptions, "engine" | "ready">;
}

/** What a Worker's module exports. */
export interface Worker<Env> {
  fetch(request: Request, env: Env, context: WorkerContext): Response | Promise<Response>;
  /**
   * The isolate's engine, for what needs no HTTP: loaded by the first call, which every other waits for.
   *
   * @param context of the request, which the load then outlives.
   */
  engine(env: Env, context?: WorkerContext): Promise<Engine>;
}

/** Hono's type asks for what newer ones of workerd's have besides. */
export function executionContext(
  context: WorkerContext,
): Parameters<ReturnType<typeof createApp>["fetch"]>[2] {
  return context as Parameters<ReturnType<typeof createApp>["fetch"]>[2];
}

/** What is used of ExecutionContext. */
export interface WorkerContext {
  waitUntil(promise: Promise<unknown>): void;
}

/**
 * @example
 * export default createWorker({
 *   kernels: { relaxed, plain },
 *   pack: (env) => r2Source(env.MODELS, "smollm2-135m-instruct"),
 * });
 */
export function createWorker<Env>(options: WorkerOptions<Env>): Worker<Env> {
  const load = createSharedLoad<LocalEngine>(
    undefined,
    undefined,
    // After a trap nothing that its memory holds can be trusted: all is loaded again.
    ({ failure }) => failure !== undefined,
  );
  const memories = new MemoryPool();
  const ready = (): Readiness => {
    if (load.result) return { status: "ready", loading: load.result.info.loading };
    const { progress, error } = load;
    // Also while the next try is under way: every request, this one too, has begun one.
    if (error !== undefined) return { status: "failed", progress, error: error as Error };
    return { status: "loading", progress };
  };
  let app: ReturnType<typeof createApp> | undefined;
  const engineOf = (env: Env, context?: WorkerContext): Promise<Engine> => {
    const engine = load.get((onProgress) => startEngine(options, env, onProgress, memories));
    // The load outlives the request that began it; its failure is that of who waits for it.
    context?.waitUntil(engine.catch(() => undefined));
    return engine;
  };
  return {
    engine: engineOf,
    fetch(request, env, context) {
      void engineOf(env, context);
      const { limits, ...appOptions } = options.app?.(env) ?? defaultAppOptions(env);
      app ??= createApp({
        // An isolate's own memory would lose them between two requests.
        responses: { store: false },
        ...appOptions,
        limits: { workMs: (options.cpuMs ?? DEFAULT_CPU_MS) * CPU_SHARE, ...limits },
        engine: () => engineOf(env),
        ready,
      });
      return app.fetch(request, {}, executionContext(context));
    },
  };
}

/** Loads the model into the isolate, within its budget. @throws what loading does. */
export async function startEngine<Env>(
  options: WorkerOptions<Env> & Pick<EngineOptions, "maxQueue">,
  env: Env,
  onProgress: (fraction: number) => void,
  memories?: MemoryPool,
): Promise<LocalEngine> {
  const { kernels, pack, budgetBytes = BUDGET_BYTES, slots = 1, kernel } = options;
  const pool = memories && { memories };
  const runtime: Runtime = {
    kernels,
    ...pool,
    gpu: "Workers have no WebGPU",
    yieldTask,
    now,
    wallClock,
    randomSeed,
  };
  const { id, ctx, kv, chunk, speculate = "off", contextShift, maxQueue } = options;
  const opened = await openAdapters(
    { adapters: retryingAdapters(options.adapters?.(env)) },
    onlyFolders,
  );
  const folder = boundPack(pack, env);
  const snapshots = await readSnapshots(folder, options.snapshots ?? [], budgetBytes);
  const snapshotBytes = snapshots.reduce((sum, { length }) => sum + length, 0);
  const model = await loadModel({ pack: folder }, runtime, {
    id,
    ctx,
    maxCtx: MAX_CTX,
    slots,
    kv,
    kernel,
    chunk,
    speculate,
    budgetBytes: budgetBytes - snapshotBytes,
    roomFor: opened.map(({ adapter }) => adapter),
    onProgress: ({ loaded, total }) => onProgress(loaded / total),
  });
  const engine = createEngine(model, runtime, {
    ...{ speculate, contextShift, snapshotBytes },
    ...(maxQueue !== undefined && { maxQueue }),
    stepMs: options.stepMs ?? Math.ceil(model.info.memory.weights * STEP_MS_PER_BYTE),
  });
  await loadAdapters(engine, opened, options);
  try {
    // One after the other, and each let go of: it is copied.
    for (let bytes = snapshots.shift(); bytes !== undefined; bytes = snapshots.shift()) {
      await engine.loadSnapshot(bytes);
    }
    return engine;
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}

/** Half of the budget at most: the rest is the model's. */
async function readSnapshots(
  folder: SourceFolder,
  names: readonly string[],
  budgetBytes: number,
): Promise<Uint8Array[]> {
  const read: Uint8Array[] = [];
  let left = budgetBytes / 2;
  for (const name of names) {
    const source = await folder.open(name);
    left -= source.size;
    if (left < 0) {
      const found = `${source.size} bytes, beyond half of the budget of ${budgetBytes}`;
      throw new PronkError("out_of_memory", `snapshots: ${name}: ${found}`);
    }
    read.push(await readAll(source));
  }
  return read;
}

type Adapters = NonNullable<EngineAdapters["adapters"]>;

/** Their folders are read as the pack's is. */
function retryingAdapters(adapters: Adapters = {}): Adapters {
  const retry = (source: AdapterSource): AdapterSource =>
    typeof source === "object" && "open" in source ? retryingFolder(source) : source;
  return Object.fromEntries(
    Object.entries(adapters).map(([name, given]) => {
      const isScaled = typeof given === "object" && "source" in given;
      return [name, isScaled ? { ...given, source: retry(given.source) } : retry(given)];
    }),
  );
}

async function onlyFolders(name: string): Promise<never> {
  throw new PronkError("not_found", `adapters: ${name}: a Worker opens folders, as of r2Source()`);
}

/** What a Worker's app is like where its options say nothing, by what is bound to it. */
export function defaultAppOptions(env: unknown): Omit<AppOptions, "engine" | "ready"> {
  const bound = (env ?? {}) as {
    PRONK_API_KEYS?: unknown;
    PRONK_QUOTA?: DurableObjectNamespaceLike;
    PRONK_RESPONSES?: ResponseBinding;
  };
  const { PRONK_API_KEYS: text, PRONK_QUOTA: quota, PRONK_RESPONSES: responses } = bound;
  const stores = {
    responses: { store: responseStoreOf(responses) },
    ...(quota === undefined ? {} : { quotaStore: durableQuotaStore(quota) }),
  };
  if (typeof text !== "string") return stores;
  return { ...stores, auth: { keys: parseApiKeys(text) } };
}
