/** POST /v1/embeddings. */
import { selectModel } from "../adapters.ts";
import { readJsonObject } from "../body.ts";
import type { ServerContext } from "../context.ts";
import { checkPrompt } from "../limits.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { embeddingsAnswer } from "../schemas/answers.ts";
import { embeddingRequest } from "../schemas/embeddings.ts";
import { inputIds, inputList, inputParam } from "../text-inputs.ts";
import { validate } from "../validate.ts";

/** Some clients send ids of another tokenizer, which are ids here, too: nothing else could tell them. */
const IDS_WARNING = '299 - "input: ids are read as the ids of this model\'s own tokenizer"';

export function embeddingsRoute(server: ServerContext): Route {
  return {
    path: "/v1/embeddings",
    methods: {
      POST: {
        summary: "Turn texts into vectors",
        description: "The mean of the last layer's normalised states, of length 1.",
        tag: "Generation",
        body: embeddingRequest,
        refusals: [404],
        answers: { 200: jsonAnswer("The vectors, in the order of the input.", embeddingsAnswer) },
        handle: async (c) => {
          const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
          const request = validate(embeddingRequest, body);
          const { input, pooling, normalize, dimensions } = request;
          const engine = await server.engineWithRoom(c);
          const served = selectModel(engine, request.model, request.lora);
          const { tokenizer, info } = engine;
          const texts = inputList(input).map((one, i) => {
            const param = inputParam("input", input, i);
            const ids = inputIds(one, tokenizer, info.vocab, param, false);
            checkPrompt(ids.length, info.ctx, param, server.limits, 0);
            return ids;
          });
          const vectors = await engine.embed(texts, {
            pooling: pooling ?? "mean",
            normalize: normalize ?? true,
            ...(dimensions == null ? {} : { dimensions }),
            adapters: served.adapters,
            signal: c.req.raw.signal,
          });
          const tokens = texts.reduce((sum, ids) => sum + ids.length, 0);
          if (typeof inputList(input)[0] !== "string") c.header("warning", IDS_WARNING);
          const isBase64 = request.encoding_format === "base64";
          const spell = (vector: Float32Array): number[] | string =>
            isBase64 ? toBase64(vector) : [...vector];
          return c.json({
            object: "list",
            model: served.model,
            data: vectors.map((vector, index) => {
              const rows = pooling === "none" ? (texts[index]?.length ?? 1) : 1;
              const all = rowsOf(vector, rows).map(spell);
              return {
                object: "embedding",
                index,
                embedding: pooling === "none" ? all : all[0],
              };
            }),
            usage: { prompt_tokens: tokens, total_tokens: tokens },
          });
        },
      },
    },
  };
}

function rowsOf(numbers: Float32Array, rows: number): Float32Array[] {
  const width = numbers.length / rows;
  return Array.from({ length: rows }, (_, r) => numbers.subarray(r * width, (r + 1) * width));
}

/** Characters that one call of fromCharCode takes, within the arguments that engines allow. */
const CALL_BYTES = 8192;

/** The standard alphabet, padded, of little-endian f32: 4 bytes a number. */
function toBase64(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, number] of vector.entries()) view.setFloat32(i * 4, number, true);
  let binary = "";
  for (let at = 0; at < bytes.length; at += CALL_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CALL_BYTES));
  }
  return btoa(binary);
}
