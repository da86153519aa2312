/** A server on Node in eight lines: `node dist/workers/node.js`. MODEL and PORT are variables. */
import { serve } from "@hono/node-server";
import { createEngine } from "../src/platform/node/index.ts";
import { createApp } from "../src/server/app.ts";

const engine = await createEngine(process.env.MODEL ?? "smollm2-135m-instruct");
serve({ fetch: createApp({ engine }).fetch, port: Number(process.env.PORT ?? 8787) });
