/** GET /metrics, for Prometheus. */
import type { Engine } from "../../engine/engine.ts";
import type { AppContext } from "../context.ts";
import type { ServerMetrics } from "../metrics.ts";
import type { Route } from "../operation.ts";
import { text } from "../schemas/answers.ts";

const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** @param engine the one that is loaded: a scrape waits for none. */
export function metricsRoute(
  metrics: ServerMetrics,
  engine: (c: AppContext) => Promise<Engine | undefined>,
  isPublic: boolean,
): Route {
  return {
    path: "/metrics",
    isPublic,
    methods: {
      GET: {
        summary: "Counters and gauges for Prometheus",
        tag: "Operation",
        isStatic: true,
        answers: {
          200: { description: "The text format, 0.0.4.", content: { "text/plain": text } },
        },
        handle: async (c) =>
          c.body(metrics.render(await engine(c)), 200, { "content-type": CONTENT_TYPE }),
      },
    },
  };
}
