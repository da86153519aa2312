/** A server on Deno: `deno serve -A workers/deno.ts`. MODEL and DRAIN (seconds) are variables. */
import { createDrainingApp, createEngine, playgroundFiles } from "../src/platform/deno/index.ts";

const engine = await createEngine(process.env.MODEL ?? "smollm2-135m-instruct");
const app: Awaited<ReturnType<typeof createDrainingApp>> = await createDrainingApp(engine, {
  drainSeconds: Number(process.env.DRAIN ?? 25),
  playground: playgroundFiles(),
});

export default app;
