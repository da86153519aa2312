/**
 * The engine of a server that lives on when its model cannot be loaded: a damaged shard or a storage
 * that is down may be repaired meanwhile, so every request tries again, and is told what is wrong. One that runs nothing
 * any more, since a kernel trapped, is replaced: the next request loads the model anew.
 */
import type { Engine } from "../engine/engine.ts";
import type { Readiness } from "../server/routes/health.ts";

export interface ServedEngine {
  /** One load at a time: whoever asks while it runs waits for it. */
  load(): Promise<Engine>;
  /** For requests: undefined while the first load runs; after a failure, one begun after asking. */
  get(): Engine | Promise<Engine> | undefined;
  /** From now on it is "stopping": requests are refused, what runs goes on. */
  stop(): void;
  /** For /health, which tries again as well: who waits for it sends no other requests. */
  ready(): Readiness;
  dispose(): Promise<void>;
}

/** @param start called for every try, with what takes the part of it that is done, from 0 to 1. */
export function createServedEngine(
  start: (onProgress: (fraction: number) => void) => Promise<Engine>,
): ServedEngine {
  let engine: Engine | undefined;
  let loading: Promise<Engine> | undefined;
  let readiness: Readiness = { status: "loading" };

  const load = async (): Promise<Engine> => {
    try {
      engine = await start((progress) => {
        // What failed is told until a try succeeds.
        if (readiness.status === "loading") readiness = { status: "loading", progress };
      });
      readiness = { status: "ready", loading: engine.info.loading };
      return engine;
    } catch (error) {
      readiness = { status: "failed", error: error as Error };
      throw error;
    } finally {
      loading = undefined;
    }
  };
  let isStopping = false;
  /** Lets go of an engine that runs nothing any more, before another one takes as much memory. */
  const forget = (): void => {
    const over = engine;
    if (over?.failure === undefined || isStopping) return;
    readiness = { status: "failed", error: over.failure };
    engine = undefined;
    const freed = over.dispose().catch(() => undefined);
    loading = freed.then(load);
    loading.catch(() => undefined); // Who waits for it is told.
  };
  const served: ServedEngine = {
    stop() {
      isStopping = true;
    },
    load: () => (loading ??= load()),
    get() {
      if (isStopping) return undefined;
      forget();
      if (engine !== undefined || readiness.status !== "failed") return engine;
      // One that is under way may have read what was repaired since.
      return loading === undefined ? served.load() : loading.catch(() => served.load());
    },
    ready() {
      if (isStopping) return { status: "stopping" };
      forget();
      if (readiness.status === "failed") served.load().catch(() => undefined);
      return readiness;
    },
    async dispose(): Promise<void> {
      await loading?.catch(() => undefined);
      await engine?.dispose();
    },
  };
  return served;
}
