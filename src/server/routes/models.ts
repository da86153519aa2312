/** GET /v1/models and /v1/models/{id}: the one model that is served, and its adapters. */
import type { Engine } from "../../engine/engine.ts";
import { noSuchModel } from "../adapters.ts";
import { mayUse } from "../auth.ts";
import type { ServerContext } from "../context.ts";
import { mayNotUse, shownPath } from "../metered-engine.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { modelAnswer, modelsAnswer } from "../schemas/answers.ts";

export function modelRoutes(server: ServerContext): Route[] {
  return [
    {
      path: "/v1/models",
      methods: {
        GET: {
          summary: "List the model and its adapters, as far as the key may use them",
          tag: "Models",
          answers: { 200: jsonAnswer("The list.", modelsAnswer) },
          handle: async (c) => {
            const { caller } = c.get("record");
            const all = describeAll(await server.engine(c));
            return c.json({ object: "list", data: all.filter(({ id }) => mayUse(caller, id)) });
          },
        },
      },
    },
    {
      path: "/v1/models/:id{.+}", // ids hold slashes, raw or encoded
      methods: {
        GET: {
          summary: "Describe one of them",
          tag: "Models",
          parameters: { id: { description: "A model's id, slashes raw or encoded." } },
          refusals: [404],
          answers: { 200: jsonAnswer("The model.", modelAnswer) },
          handle: async (c) => {
            const engine = await server.engine(c);
            const id = c.req.param("id") ?? "";
            const found = describeAll(engine).find((one) => one.id === id);
            if (found === undefined) throw noSuchModel(engine, id);
            if (!mayUse(c.get("record").caller, id)) throw mayNotUse(id);
            return c.json(found);
          },
        },
      },
    },
  ];
}

type Described = { readonly id: string } & Record<string, unknown>;

/** As of vLLM: an adapter's root is where it came from, its parent the model. */
function describeAll(engine: Engine): Described[] {
  const base = describe(engine);
  const adapters = engine.adapters.map((one) => ({
    ...base,
    id: one.name,
    root: shownPath(engine, one),
    parent: engine.info.id,
  }));
  return [{ ...base, root: engine.info.id, parent: null }, ...adapters];
}

function describe({ info }: Engine): Described {
  return {
    id: info.id,
    object: "model",
    created: info.created,
    owned_by: "pronk",
    context_length: info.ctx,
    backend: info.backend,
    backend_reason: info.backendReason,
    kernel: info.kernel,
    kernel_reason: info.kernelReason,
    threads: info.threads,
    threads_reason: info.threadsReason,
    memory: { weights: info.memory.weights, kv: info.memory.kv, total: info.memory.total },
  };
}
