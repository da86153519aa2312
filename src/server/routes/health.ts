/** GET /health: whether the model answers yet. Needs no key; why it failed is told to those who have one. */

import type { Engine } from "../../engine/engine.ts";
import type { LoadTimings } from "../../engine/load-timings.ts";
import type { PronkError } from "../../errors.ts";
import type { AppContext } from "../context.ts";
import { toErrorReply } from "../errors.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { healthAnswer, unhealthyAnswer } from "../schemas/answers.ts";
import { loadTiming } from "../usage.ts";

/** Where loading stands. */
export interface Readiness {
  /** "stopping": it ends what it has begun, and takes nothing new. */
  readonly status: "loading" | "ready" | "failed" | "stopping";
  /** Of the load, from 0 to 1. */
  readonly progress?: number;
  /** Why it failed; the message of a PronkError is shown to who may know it. */
  readonly error?: PronkError | Error;
  /** How long each part of loading took, once it is ready. */
  readonly loading?: LoadTimings | undefined;
}

/**
 * 200 `{"status":"ok"}`, with what loading took where that is known, also as Server-Timing; or 503 with
 * the status and progress.
 *
 * @param ready undefined: the model is loaded, now if need be.
 * @param mayKnow whether who asks may read paths and addresses of this server, which messages have.
 */
export function healthRoute(
  engine: (c: AppContext) => Promise<Engine>,
  ready: (() => Readiness) | undefined,
  mayKnow: (c: AppContext) => Promise<boolean>,
): Route {
  const readiness = async (c: AppContext): Promise<Readiness> => {
    if (ready !== undefined) return ready();
    try {
      const { info, failure } = await engine(c);
      if (failure !== undefined) return { status: "failed", error: failure };
      return { status: "ready", loading: info.loading };
    } catch (error) {
      const isLoading = toErrorReply(error).body.error.code === "model_loading";
      return isLoading ? { status: "loading" } : { status: "failed", error: error as Error };
    }
  };
  return {
    path: "/health",
    isPublic: true,
    methods: {
      GET: {
        summary: "Whether the model answers yet",
        tag: "Operation",
        isStatic: true,
        answers: {
          200: jsonAnswer("It does; with what loading took.", healthAnswer),
          503: jsonAnswer("Not yet, not any more, or it could not be loaded.", unhealthyAnswer),
        },
        handle: async (c) => {
          const { status, progress, error, loading } = await readiness(c);
          if (status === "ready") {
            if (loading === undefined) return c.json({ status: "ok" });
            c.header("server-timing", loadTiming(loading));
            return c.json({ status: "ok", loading });
          }
          const state = { status, ...(progress === undefined ? {} : { progress }) };
          const headers = { "cache-control": "no-store" };
          if (status !== "failed") return c.json(state, 503, headers);
          c.get("record").error = error;
          const { code, message } = toErrorReply(error).body.error;
          const told = (await mayKnow(c)) ? { code, message } : { code };
          return c.json({ ...state, error: told }, 503, headers);
        },
      },
    },
  };
}
