/**
 * The HTTP API for servers that belong to others (`deno serve`, what a file exports on Bun, a framework): told to end, the
 * process ends what it has begun, as `pronk serve` does.
 */
import process from "node:process";
import type { Engine } from "../../engine/engine.ts";
import type { AppOptions } from "../../server/app.ts";
import { RunningAnswers } from "../../server/running-answers.ts";
import type { FetchHandler } from "./host.ts";

/** Kubernetes kills what has not ended 30 seconds after it was asked to. */
export const DRAIN_SECONDS = 25;

/** For the last bytes of an answer: the server that has them is not ours to ask. */
const FLUSH_MS = 500;

/** As shells have it of a process that was interrupted. */
const INTERRUPTED = 130;

export interface DrainingAppOptions extends Omit<AppOptions, "engine" | "ready"> {
  /** For answers that run when it is stopped; what still runs then ends with an error event. Default 25. */
  readonly drainSeconds?: number;
}

/**
 * Listens for SIGTERM, SIGINT and SIGHUP from now on. After the first, requests are answered with 503 and what runs goes on; when
 * nothing runs any more, or time is over, the engine is disposed and the process ends with 0. The second ends it at once.
 *
 * @example
 * export default await createDrainingApp(await createEngine("smollm2-135m-instruct"));
 */
export async function createDrainingApp(
  engine: Engine,
  { drainSeconds = DRAIN_SECONDS, log, ...options }: DrainingAppOptions = {},
): Promise<{ readonly fetch: FetchHandler }> {
  // Loaded only here: who uses an engine alone needs none of it.
  const { createApp } = await import("../../server/app.ts");
  const running = new RunningAnswers();
  let isStopping = false;
  const app = createApp({
    ...options,
    engine: () => (isStopping ? undefined : engine),
    ready() {
      if (isStopping) return { status: "stopping" };
      const { info, failure } = engine;
      // Who watches /health starts the process again: the engine is not ours to replace.
      if (failure !== undefined) return { status: "failed", error: failure };
      return { status: "ready", loading: info.loading };
    },
    log(entry) {
      running.end();
      log?.(entry);
    },
  });
  const stop = async (): Promise<void> => {
    isStopping = true;
    await running.untilIdle(drainSeconds * 1000);
    // What still runs is told why it ends.
    await engine.dispose();
    setTimeout(() => process.exit(0), FLUSH_MS);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(INTERRUPTED);
      void stop();
    });
  }
  return {
    fetch(request) {
      running.begin();
      return app.fetch(request);
    },
  };
}
