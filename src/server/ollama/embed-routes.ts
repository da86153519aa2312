/** Ollama's embeddings: /api/embed, and the older /api/embeddings of one text. */
import { readJsonObject } from "../body.ts";
import type { ServerContext } from "../context.ts";
import { embedTexts } from "../embed-texts.ts";
import { type ErrorForm, jsonAnswer, type Route } from "../operation.ts";
import { validate } from "../validate.ts";
import { nanoseconds } from "./answer.ts";
import { modelOf } from "./request.ts";
import {
  ollamaEmbedAnswer,
  ollamaEmbeddingsAnswer,
  ollamaEmbeddingsRequest,
  ollamaEmbedRequest,
} from "./schemas.ts";

export function embedRoutes(server: ServerContext, errors: ErrorForm, tag: string): Route[] {
  return [
    {
      path: "/api/embed",
      errors,
      methods: {
        POST: {
          summary: "Turn texts into vectors, as Ollama does",
          tag,
          body: ollamaEmbedRequest,
          refusals: [404],
          answers: {
            200: jsonAnswer("The vectors, in the order of the input.", ollamaEmbedAnswer),
          },
          handle: async (c) => {
            const startedMs = server.clock.now();
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(ollamaEmbedRequest, body);
            const { model, input, dimensions, truncate } = request;
            const engine = await server.engineWithRoom(c);
            const texts = [input ?? []].flat();
            const found = await embedTexts(
              engine,
              modelOf(engine, model),
              texts,
              "input",
              server.limits,
              {
                dimensions: dimensions ?? undefined,
                truncate: truncate !== false,
                signal: c.req.raw.signal,
              },
            );
            return c.json({
              model,
              embeddings: found.vectors.map((vector) => [...vector]),
              total_duration: nanoseconds(server.clock.now() - startedMs),
              load_duration: 0,
              prompt_eval_count: found.tokens,
            });
          },
        },
      },
    },
    {
      path: "/api/embeddings",
      errors,
      methods: {
        POST: {
          summary: "Turn a text into a vector, as Ollama did",
          tag,
          body: ollamaEmbeddingsRequest,
          refusals: [404],
          answers: { 200: jsonAnswer("The vector.", ollamaEmbeddingsAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const { model, prompt } = validate(ollamaEmbeddingsRequest, body);
            const engine = await server.engineWithRoom(c);
            const name = modelOf(engine, model);
            const { signal } = c.req.raw;
            const options = { truncate: true, signal };
            const { limits } = server;
            const { vectors } = await embedTexts(engine, name, [prompt], "prompt", limits, options);
            return c.json({ embedding: [...(vectors[0] ?? [])] });
          },
        },
      },
    },
  ];
}
