import { createEngine } from "pronk";
import { createApp } from "pronk/server";

const engine = await createEngine(process.env.MODEL ?? "smollm2-135m-instruct");
const llm = createApp({ engine });

const server = Bun.serve({
  port: Number(process.env.PORT ?? 8787),
  // Seconds; Bun's own 10 would cut a stream whose prompt takes longer.
  idleTimeout: 120,
  routes: { "/": new Response("A site with a model in it.") },
  // What is no route of its own: /v1/..., /health, /docs.
  fetch: llm.fetch,
});
console.log(`listening on ${server.url}`);
