/** A server on Node in nine lines: `node dist/workers/node.js`. MODEL and PORT are variables. */
import { serve } from "@hono/node-server";
import { createEngine } from "../src/platform/node/index.ts";
import { createApp } from "../src/server/app.ts";

const model = process.env.MODEL ?? "smollm2-135m-instruct";
const engine = await createEngine(model, { simdWidth: "auto" });
serve({ fetch: createApp({ engine }).fetch, port: Number(process.env.PORT ?? 8787) });
