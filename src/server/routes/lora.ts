/**
 * LoRA adapters at run time: their default scales as llama.cpp's server has them (/lora-adapters), and
 * loading and unloading as vLLM's (/v1/load_lora_adapter, /v1/unload_lora_adapter).
 */
import { PronkError } from "../../errors.ts";
import { chooseByIds } from "../adapters.ts";
import { readJson, readJsonObject } from "../body.ts";
import type { AppContext, ServerContext } from "../context.ts";
import { RequestError } from "../errors.ts";
import { mayBeTold, shownPath } from "../metered-engine.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { adaptersAnswer, successAnswer, text } from "../schemas/answers.ts";
import { loadAdapterRequest, loraScales, unloadAdapterRequest } from "../schemas/lora.ts";
import { validate } from "../validate.ts";

/** What is wrong with the adapter that a client names is wrong with its request. */
const OF_THE_ADAPTER = ["bad_format", "corrupt", "unsupported", "out_of_memory"];

export function loraRoutes(server: ServerContext): Route[] {
  return [
    {
      path: "/lora-adapters",
      methods: {
        GET: {
          summary: "List the adapters with their default scales",
          tag: "Adapters",
          answers: { 200: jsonAnswer("The list.", adaptersAnswer) },
          handle: async (c) => {
            const engine = await server.engine(c);
            const told = engine.adapters.filter(({ name }) => mayBeTold(engine, name));
            return c.json(
              told.map((one) => ({
                id: one.id,
                name: one.name,
                path: shownPath(engine, one),
                scale: one.default_scale,
              })),
            );
          },
        },
        POST: {
          summary: "Set the default scales",
          description: "Adapters that are not listed take no part.",
          tag: "Adapters",
          body: loraScales,
          refusals: [404],
          answers: { 200: jsonAnswer("They are set.", successAnswer) },
          handle: async (c) => {
            const scales = validate(loraScales, await readJson(c.req.raw, server.limits.bodyBytes));
            const engine = await server.engine(c);
            engine.setAdapters(chooseByIds(engine, scales, "body"));
            return c.json({ success: true });
          },
        },
      },
    },
    {
      path: "/v1/load_lora_adapter",
      methods: {
        POST: {
          summary: "Load an adapter",
          description: "Where the server allows it.",
          tag: "Adapters",
          body: loadAdapterRequest,
          refusals: [403, 404],
          answers: {
            200: { description: "It is loaded.", content: { "text/plain": text } },
          },
          handle: async (c) => {
            requireLoading(c, server);
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const {
              lora_name: name,
              lora_path: path,
              load_inplace,
            } = validate(loadAdapterRequest, body);
            const engine = await server.engine(c);
            const { signal } = c.req.raw;
            try {
              await engine.loadAdapter(name, path, { signal, replace: load_inplace === true });
            } catch (error) {
              throw ofRequest(error);
            }
            return c.text(`Success: LoRA adapter '${name}' added successfully.`);
          },
        },
      },
    },
    {
      path: "/v1/unload_lora_adapter",
      methods: {
        POST: {
          summary: "Unload an adapter",
          description: "Where the server allows it. Requests that use it end with it.",
          tag: "Adapters",
          body: unloadAdapterRequest,
          refusals: [403, 404],
          answers: {
            200: { description: "It is unloaded.", content: { "text/plain": text } },
          },
          handle: async (c) => {
            requireLoading(c, server);
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const { lora_name: name } = validate(unloadAdapterRequest, body);
            const engine = await server.engine(c);
            try {
              await engine.unloadAdapter(name);
            } catch (error) {
              throw ofRequest(error);
            }
            return c.text(`Success: LoRA adapter '${name}' removed successfully.`);
          },
        },
      },
    },
  ];
}

/** Off unless the server's owner says otherwise: who may load names paths that the server reads. */
function requireLoading(c: AppContext, { allowAdapterLoading }: ServerContext): void {
  if (allowAdapterLoading) return;
  throw new RequestError(
    "not_allowed",
    `${c.req.path}: this server loads no adapters at run time; allowAdapterLoading, or ` +
      "--allow-lora-loading of pronk serve, lets it",
  );
}

const PARAMS: Readonly<Record<string, string>> = { name: "lora_name", scale: "lora_name" };

function ofRequest(error: unknown): unknown {
  if (!(error instanceof PronkError) || error instanceof RequestError) return error;
  const { code, message, param = "source" } = error;
  const isRefusal = code === "bad_request" || code === "not_found";
  if (!isRefusal && !OF_THE_ADAPTER.includes(code)) return error;
  return new PronkError(isRefusal ? code : "bad_request", message, {
    cause: error,
    param: PARAMS[param] ?? "lora_path",
  });
}
