/** A server on Bun: `bun workers/bun.ts`. Bun serves what a file exports like this. MODEL, PORT and DRAIN are variables. */
import { createDrainingApp, createEngine, playgroundFiles } from "../src/platform/bun/index.ts";

const engine = await createEngine(process.env.MODEL ?? "smollm2-135m-instruct");
const app = await createDrainingApp(engine, {
  drainSeconds: Number(process.env.DRAIN ?? 25),
  playground: playgroundFiles(),
});

const server: {
  port: number;
  idleTimeout: number;
  fetch: (request: Request) => Response | Promise<Response>;
} = {
  port: Number(process.env.PORT ?? 8787),
  // Seconds; Bun's own 10 would cut a stream whose prompt takes longer.
  idleTimeout: 120,
  fetch: (request) => app.fetch(request),
};

export default server;
