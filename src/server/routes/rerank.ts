/** POST /v1/rerank, for models with a classification head of one output. */
import type { Engine } from "../../engine/engine.ts";
import { exp } from "../../generate/exp-log.ts";
import { selectModel } from "../adapters.ts";
import { readJsonObject } from "../body.ts";
import type { ServerContext } from "../context.ts";
import { RequestError } from "../errors.ts";
import { checkPrompt } from "../limits.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { rerankAnswer } from "../schemas/answers.ts";
import { rerankRequest } from "../schemas/rerank.ts";
import { validate } from "../validate.ts";

export function rerankRoute(server: ServerContext): Route {
  return {
    path: "/v1/rerank",
    methods: {
      POST: {
        summary: "Order documents by what they have to do with a query",
        description: "Only with a model that has a classification head of one output.",
        tag: "Generation",
        body: rerankRequest,
        refusals: [404],
        answers: { 200: jsonAnswer("The documents, the best first.", rerankAnswer) },
        handle: async (c) => {
          const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
          const request = validate(rerankRequest, body);
          const engine = await server.engineWithRoom(c);
          const served = selectModel(engine, request.model, request.lora);
          requireOneOutput(engine);
          const { tokenizer, info } = engine;
          const documents = request.documents.map((one) =>
            typeof one === "string" ? one : one.text,
          );
          // Pairs as Llama's own tokenizer makes them: each text as it is alone, one behind the other.
          const query = tokenizer.encode(request.query);
          const pairs = documents.map((text, i) => {
            const ids = [...query, ...tokenizer.encode(text)];
            checkPrompt(ids.length, info.ctx, `documents[${i}]`, server.limits, 0);
            return ids;
          });
          const outputs = await engine.classify(pairs, {
            adapters: served.adapters,
            signal: c.req.raw.signal,
          });
          const results = outputs.map(([score = 0], index) => ({
            index,
            relevance_score: request.raw_scores === true ? score : sigmoid(score),
            ...(request.return_documents === true && { document: { text: documents[index] } }),
          }));
          // The head's numbers decide: two of them may become one between 0 and 1.
          const order = ({ index }: { index: number }): number => outputs[index]?.[0] ?? 0;
          results.sort((a, b) => order(b) - order(a) || a.index - b.index);
          const tokens = pairs.reduce((sum, ids) => sum + ids.length, 0);
          return c.json({
            object: "list",
            model: served.model,
            results: results.slice(0, request.top_n ?? results.length),
            usage: { prompt_tokens: tokens, total_tokens: tokens },
          });
        },
      },
    },
  };
}

function requireOneOutput({ info: { id, labels } }: Engine): void {
  if (labels === 1) return;
  const why =
    labels === undefined
      ? `${id} has no classification head; /v1/embeddings compares texts with any model`
      : `${id} tells ${labels} classes apart, reranking needs one output`;
  throw new RequestError("unsupported_parameter", `model: ${why}`, { param: "model" });
}

const sigmoid = (x: number): number => 1 / (1 + exp(-x));
