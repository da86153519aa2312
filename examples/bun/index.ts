import { createEngine } from "pronk";
import { createApp } from "pronk/server";

const model = process.env.MODEL ?? "smollm2-135m-instruct";
let shown = "";
const engine = await createEngine(model, {
  // The first time it is downloaded and packed: a line for every tenth of that.
  onProgress({ phase, loaded, total = loaded }) {
    const line = `${phase} ${Math.floor((10 * loaded) / total) * 10} %`;
    if (phase !== "load" && line !== shown) console.log(line);
    shown = line;
  },
});
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
