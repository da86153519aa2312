import { Hono } from "hono";
import { createEngine } from "pronk";
import { createApp } from "pronk/server";

const model = Deno.env.get("MODEL") ?? "smollm2-135m-instruct";
let shown = "";
const engine = await createEngine(model, {
  // The first time it is downloaded and packed: a line for every tenth of that.
  onProgress({ phase, loaded, total = loaded }) {
    const line = `${phase} ${Math.floor((10 * loaded) / total) * 10} %`;
    if (phase !== "load" && line !== shown) console.log(line);
    shown = line;
  },
});

const app = new Hono();
app.get("/", (c) => c.text("A site with a model in it."));
app.route("/llm", createApp({ engine }));

Deno.serve({ port: Number(Deno.env.get("PORT") ?? 8787) }, app.fetch);
