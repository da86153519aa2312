/** A server on Node in eight lines: `node dist/workers/node.js`. MODEL, PORT and DRAIN (seconds) are variables. */
import { serve } from "@hono/node-server";
import { createDrainingApp, createEngine, playgroundFiles } from "../src/platform/node/index.ts";

const model = process.env.MODEL ?? "smollm2-135m-instruct";
const engine = await createEngine(model, { simdWidth: "auto" });
const app = await createDrainingApp(engine, {
  drainSeconds: Number(process.env.DRAIN ?? 25),
  playground: playgroundFiles(),
});
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 8787) });
