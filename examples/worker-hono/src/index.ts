import { generateText, Output } from "ai";
import { Hono } from "hono";
import { mount } from "hono/mount";
import { createPronk } from "pronk/ai-sdk";
import { createWorker, r2Source } from "pronk/cloudflare";
import plain from "pronk/kernels/plain.wasm";
import relaxed from "pronk/kernels/relaxed.wasm";
import { createApp } from "pronk/server";
import { z } from "zod";

interface Env {
  readonly MODELS: R2Bucket;
}

const model = "smollm2-135m-instruct";

/** The isolate's one model, whatever asks for it. */
const llm = createWorker<Env>({
  id: model,
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, model),
});

const app = new Hono<{ Bindings: Env }>();

app.get("/", (c) => c.text("A site with a model in it."));

// The Worker as it would be alone: keys, quotas and stores from the bindings, progress on /llm/health.
app.all("/llm/*", mount(llm.fetch));

// The API as one app more, with options of its own.
app.route(
  "/open",
  createApp({
    engine: (c) => llm.engine(c.env, c.executionCtx),
    cors: { origins: ["https://example.com"] },
    dialects: [],
  }),
);

// No HTTP in between: the AI SDK's functions on the same model.
app.get("/days", async (c) => {
  const pronk = createPronk({ engine: () => llm.engine(c.env, c.executionCtx), model });
  const { output } = await generateText({
    model: pronk(),
    prompt: c.req.query("q") ?? "How many days are in a week?",
    temperature: 0,
    output: Output.object({ schema: z.object({ days: z.number().int().min(1).max(9) }) }),
  });
  return c.json(output);
});

app.notFound((c) => c.text("Nothing here.", 404));

export default app;
