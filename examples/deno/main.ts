import { Hono } from "hono";
import { createEngine } from "pronk";
import { createApp } from "pronk/server";

const engine = await createEngine(Deno.env.get("MODEL") ?? "smollm2-135m-instruct");
const app = new Hono();
app.get("/", (c) => c.text("A site with a model in it."));
app.route("/llm", createApp({ engine }));

Deno.serve({ port: Number(Deno.env.get("PORT") ?? 8787) }, app.fetch);
