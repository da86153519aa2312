/**
 * A Worker in front of stages: the same HTTP API as createWorker()'s, over a model that is divided among scripts. It has
 * the tokenizer and an engine for each request, which opens one session with every stage: Cloudflare ends what a request
 * has open with the request, and counts at most 32 invocations for it.
 */
import { createEngine, type EngineOptions } from "../../engine/create-engine.ts";
import type { Engine } from "../../engine/engine.ts";
import {
  connectStages,
  openStagedPack,
  type StageAddress,
  type StagedPack,
} from "../../engine/load-staged.ts";
import type { LoadTimings } from "../../engine/load-timings.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import { createApp } from "../../server/app.ts";
import type { Readiness } from "../../server/routes/health.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { now, randomSeed, wallClock } from "../clock.ts";
import { boundPack } from "./bound-pack.ts";
import {
  defaultAppOptions,
  executionContext,
  type WorkerContext,
  type WorkerOptions,
} from "./create-worker.ts";
import { createSharedLoad } from "./shared-load.ts";
import { yieldTask } from "./yield.ts";

/** What is used of a service binding to a stage's script. */
export interface StageBinding {
  // biome-ignore lint/suspicious/noExplicitAny: a stub, of which Cloudflare's types make promises
  open(): any;
}

export interface StagedWorkerOptions<Env>
  extends Pick<WorkerOptions<Env>, "app">,
    Pick<EngineOptions, "contextShift"> {
  /** The stages' pack: of it the manifest and the tokenizer are read. */
  readonly pack: (env: Env) => SourceFolder;
  /** The bindings of the stages' scripts, in any order; at most MAX_STAGE_SCRIPTS. */
  readonly stages: (env: Env) => readonly StageBinding[];
  /** Choices of one request that are computed together; each takes a slot of every stage. Default 1. */
  readonly slots?: number;
}

/** Of the 32 invocations of a request, the front's own is one. */
const MAX_STAGE_SCRIPTS = 31;

/** Until a handler has rendered and encoded what it was asked. */
const FIRST_USE_MS = 5_000;

/** A handler that goes on with the next text has done so by then; after it the stages' slots are given back. */
const IDLE_MS = 100;

/**
 * A generation that is as far ahead of its reader as it may be has one that reads nothing. workerd does not always tell of
 * a client that left before its second event: no signal, no cancelling. Its sessions would be open until the request is ended.
 */
const READER_MS = 3_000;

/** Between two looks at whether anything runs. */
const LOOK_MS = 500;

export interface StagedWorker<Env> {
  fetch(request: Request, env: Env, context: WorkerContext): Response | Promise<Response>;
}

/**
 * @example
 * export default createStagedWorker<Env>({
 *   pack: (env) => r2Source(env.MODELS, "llama-1b"),
 *   stages: (env) => [env.STAGE_0, env.STAGE_1],
 * });
 */
export function createStagedWorker<Env>(options: StagedWorkerOptions<Env>): StagedWorker<Env> {
  const runtime: Runtime = { kernels: {} as never, yieldTask, now, wallClock, randomSeed };
  const load = createSharedLoad<StagedPack>();
  let loading: LoadTimings | undefined;
  const ready = (): Readiness => {
    if (loading) return { status: "ready", loading };
    const { progress, error } = load;
    if (error !== undefined) return { status: "failed", progress, error: error as Error };
    return { status: "loading", progress };
  };
  const requests = new WeakMap<Request, Promise<UsedEngine>>();
  const engineFor = async (
    request: Request,
    env: Env,
    context: WorkerContext,
  ): Promise<UsedEngine> => {
    const pack = await load.get(() => openStagedPack(boundPack(options.pack, env), runtime));
    const bindings = options.stages(env);
    if (bindings.length === 0 || bindings.length > MAX_STAGE_SCRIPTS) {
      const found = `${bindings.length} stages, 1 to ${MAX_STAGE_SCRIPTS} can be asked in a request`;
      throw new PronkError("unsupported", `stages: ${found}`);
    }
    const { slots = 1, contextShift } = options;
    const closing: Promise<unknown>[] = [];
    const addresses = bindings.map((binding, i) => addressOf(binding, i, closing));
    const model = await connectStages(pack, addresses, runtime, { slots });
    loading ??= model.info.loading;
    const engine = createEngine(model, runtime, {
      speculate: "off",
      ...(contextShift !== undefined && { contextShift }),
    });
    // Else what closes the sessions would end with the answer.
    let ended: () => void = () => undefined;
    context.waitUntil(new Promise<void>((resolve) => (ended = resolve)));
    return whileUsed(engine, () => {
      requests.delete(request);
      engine
        .dispose()
        .then(() => Promise.all(closing))
        .finally(ended);
    });
  };
  let app: ReturnType<typeof createApp> | undefined;
  return {
    async fetch(request, env, context) {
      app ??= createApp({
        responses: { store: false },
        ...(options.app?.(env) ?? defaultAppOptions(env)),
        engine: (c) => {
          const { raw } = c.req;
          let used = requests.get(raw);
          if (!used) {
            used = engineFor(raw, c.env, c.executionCtx);
            requests.set(raw, used);
            used.catch(() => requests.delete(raw));
          }
          return used.then(({ engine }) => engine);
        },
        ready,
      });
      const response = await app.fetch(request, env as object, executionContext(context));
      // A list of models, say, computes nothing: it keeps no slot from those who do.
      if (response.headers.get("content-type")?.startsWith("application/json")) {
        await requests.get(request)?.then(
          ({ endUnused }) => endUnused(),
          () => undefined,
        );
      }
      return response;
    },
  };
}

/** @param closing gets what has to end before the request may. */
function addressOf(
  binding: StageBinding,
  index: number,
  closing: Promise<unknown>[],
): StageAddress {
  return {
    name: `stage ${index + 1}`,
    async connect() {
      // A stub: its calls reach the session. Not through an async function, which would ask it for `then`.
      const session: {
        answer(message: Uint8Array): Promise<Uint8Array>;
        close(): Promise<void>;
        [Symbol.dispose]?(): void;
      } = await binding.open();
      return {
        send: (message) => reached(() => session.answer(message)),
        close() {
          const closed = session
            .close()
            .catch(() => undefined)
            .finally(() => session[Symbol.dispose]?.());
          closing.push(closed);
          return closed;
        },
      };
    },
  };
}

/** What RPC itself fails with: the script is gone, its isolate ran out of memory or of CPU. */
async function reached<Result>(call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof PronkError) throw cause;
    throw new PronkError("source_failed", `it does not answer: ${(cause as Error).message}`, {
      cause,
    });
  }
}

interface UsedEngine {
  readonly engine: Engine;
  /** Ends it now if it was asked for nothing yet. */
  endUnused(): void;
}

/** An engine that ends a little after what it was asked for last, or when nobody reads what it gives. */
function whileUsed(engine: Engine, onEnd: () => void): UsedEngine {
  let unread = 0;
  const watch = setInterval(() => {
    const { busy, queued } = engine.stats();
    unread = running > 0 && busy === 0 && queued === 0 ? unread + LOOK_MS : 0;
    if (unread >= READER_MS) end();
  }, LOOK_MS);
  const end = (): void => {
    clearInterval(watch);
    clearTimeout(timer);
    onEnd();
  };
  let running = 0;
  let isUsed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const rest = (ms: number): void => {
    clearTimeout(timer);
    if (running === 0) timer = setTimeout(end, ms);
  };
  const used = <Result>(work: Promise<Result>): Promise<Result> => {
    running++;
    isUsed = true;
    clearTimeout(timer);
    const done = (): void => {
      running--;
      rest(IDLE_MS);
    };
    work.then(done, done);
    return work;
  };
  rest(FIRST_USE_MS);
  const usedEngine: Engine = {
    ...engine,
    stream(request, options) {
      const generation = engine.stream(request, options);
      used(generation.result);
      return generation;
    },
    generate: (request, options) => used(engine.generate(request, options)),
    scoreContinuations: (requests, options) => used(engine.scoreContinuations(requests, options)),
    promptLogprobs: (prompts, options) => used(engine.promptLogprobs(prompts, options)),
    perplexity: (ids, options) => used(engine.perplexity(ids, options)),
    embed: (texts, options) => used(engine.embed(texts, options)),
    classify: (texts, options) => used(engine.classify(texts, options)),
    saveSnapshot: (request, options) => used(engine.saveSnapshot(request, options)),
  };
  return {
    engine: usedEngine,
    endUnused() {
      if (!isUsed) rest(0);
    },
  };
}
