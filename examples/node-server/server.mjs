import { serve } from "@hono/node-server";
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

const app = createApp({ engine });
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 8787) }, ({ port }) => {
  console.log(`listening on http://localhost:${port}`);
});
