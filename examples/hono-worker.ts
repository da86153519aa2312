/**
 * A Worker with routes of its own: the whole API under /llm, and the AI SDK in process in a route. Outside
 * this repository the imports are "pronk/cloudflare", "pronk/ai-sdk", "pronk/server" and "pronk/kernels/*.wasm".
 */
import { generateText, Output } from "ai";
import { Hono } from "hono";
import { z } from "zod";
import { createPronk } from "../src/ai-sdk/index.ts";
import { createWorker, r2Source } from "../src/platform/cloudflare/index.ts";
import { createApp } from "../src/server/app.ts";
import plain from "../wasm/dist/plain.wasm";
import relaxed from "../wasm/dist/relaxed.wasm";

type Env = { readonly MODELS: Parameters<typeof r2Source>[0]; readonly PACK: string };

const MODEL = "smollm2-135m-instruct";

const worker = createWorker<Env>({
  id: MODEL,
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
});

const app: Hono<{ Bindings: Env }> = new Hono();

app.get("/days", async (c) => {
  const pronk = createPronk({ engine: () => worker.engine(c.env), model: MODEL });
  const { output } = await generateText({
    model: pronk(),
    prompt: c.req.query("q") ?? "How many days are in a week?",
    temperature: 0,
    output: Output.object({ schema: z.object({ days: z.number().int().min(1).max(9) }) }),
  });
  return c.json(output);
});

let api: ReturnType<typeof createApp> | undefined;
app.mount("/llm", (request, env: Env) => {
  api ??= createApp({ engine: () => worker.engine(env) });
  return api.fetch(request);
});

export default app;
