/**
 * What the client suite is served by, the same on Node and on workerd: the app with a key; under
 * /cold the app whose model is not ready at every other request; under /faulty the app whose
 * generations fail after their third token; and under /in-process the AI SDK without HTTP.
 */
import { embed, generateText, Output, streamText, tool } from "ai";
import { Hono } from "hono";
import * as z from "zod";
import { createPronk } from "../../../src/ai-sdk/index.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { PronkError } from "../../../src/errors.ts";
import type { TokenPart } from "../../../src/generate/request.ts";
import { createApp } from "../../../src/server/app.ts";

/** With a slash, as names of the hub have it. */
export const MODEL = "org/smollm2-135m-instruct";
export const KEY = "test-key";

const FAILS_AFTER = 3;

export function servedApp(engineOf: () => Promise<Engine>): Hono {
  const app = new Hono();
  let asked = 0;
  app.route(
    "/cold",
    createApp({ engine: async () => (asked++ % 2 === 0 ? (undefined as never) : engineOf()) }),
  );
  app.route("/faulty", createApp({ engine: async () => faulty(await engineOf()) }));
  app.get("/stats", async (c) => c.json((await engineOf()).stats()));
  app.get("/in-process", async (c) => c.json(await inProcess(await engineOf())));
  app.route("/", createApp({ engine: engineOf, auth: { keys: [KEY] } }));
  return app;
}

function faulty(engine: Engine): Engine {
  const stream: Engine["stream"] = (request, options) => {
    const generation = engine.stream(request, options);
    generation.result.catch(() => {});
    async function* parts(): AsyncGenerator<TokenPart> {
      let count = 0;
      for await (const part of generation) {
        if (count++ === FAILS_AFTER) throw new PronkError("engine_failed", "forward: it failed");
        yield part;
      }
    }
    return { result: generation.result, [Symbol.asyncIterator]: parts };
  };
  return new Proxy(engine, {
    get: (target, key) => (key === "stream" ? stream : Reflect.get(target, key)),
  });
}

/** Every mode once. */
async function inProcess(engine: Engine) {
  const pronk = createPronk({ engine });
  const asked = { model: pronk(), prompt: "How many days are in a week?", temperature: 0 };
  const { text, usage } = await generateText(asked);
  const stream = streamText(asked);
  let streamed = "";
  for await (const delta of stream.textStream) streamed += delta;
  const { output } = await generateText({
    ...asked,
    output: Output.object({ schema: z.object({ days: z.int().min(1).max(9) }) }),
  });
  const { toolCalls } = await generateText({
    ...asked,
    tools: { pick: tool({ inputSchema: z.object({ day: z.enum(["Monday", "Friday"]) }) }) },
    toolChoice: "required",
    maxOutputTokens: 100,
    providerOptions: { pronk: { parallel_tool_calls: false } },
  });
  const { embedding } = await embed({ model: pronk.embeddingModel(), value: "seven days" });
  return { text, streamed, usage, output, calls: toolCalls, width: embedding.length };
}
