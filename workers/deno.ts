/** A server on Deno: `deno serve -A workers/deno.ts`, or this file on any Deno host. */
import { createEngine } from "../src/platform/deno/index.ts";
import { createApp } from "../src/server/app.ts";

const engine = await createEngine(process.env.MODEL ?? "smollm2-135m-instruct");
const app: { fetch: (request: Request) => Response | Promise<Response> } = createApp({ engine });

export default app;
