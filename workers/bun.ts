/** A server on Bun: `bun workers/bun.ts`. Bun serves what a file exports like this. */
import { createEngine } from "../src/platform/bun/index.ts";
import { createApp } from "../src/server/app.ts";

const engine = await createEngine(process.env.MODEL ?? "smollm2-135m-instruct");

const server: {
  port: number;
  idleTimeout: number;
  fetch: (request: Request) => Response | Promise<Response>;
} = {
  port: Number(process.env.PORT ?? 8787),
  // Seconds; Bun's own 10 would cut a stream whose prompt takes longer.
  idleTimeout: 120,
  fetch: createApp({ engine }).fetch,
};

export default server;
