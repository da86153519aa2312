/** GET /v1/models and /v1/models/{id}: the one model that is served. */
import type { Engine } from "../../engine/engine.ts";
import type { ServerContext } from "../context.ts";
import { RequestError } from "../errors.ts";
import type { Route } from "../routing.ts";

/** @throws RequestError "model_not_found" unless `id` is the served model's. */
export function requireModel(engine: Engine, id: string): void {
  if (id === engine.info.id) return;
  const shown = id.length > 80 ? `${id.slice(0, 80)}…` : id;
  throw new RequestError(
    "model_not_found",
    `model: ${JSON.stringify(shown)} is not served here, ${JSON.stringify(engine.info.id)} is`,
    { param: "model" },
  );
}

export function modelRoutes(server: ServerContext): Route[] {
  return [
    {
      path: "/v1/models",
      methods: {
        GET: async (c) => c.json({ object: "list", data: [describe(await server.engine())] }),
      },
    },
    {
      path: "/v1/models/:id{.+}", // ids hold slashes, raw or encoded
      methods: {
        GET: async (c) => {
          const engine = await server.engine();
          requireModel(engine, c.req.param("id") ?? "");
          return c.json(describe(engine));
        },
      },
    },
  ];
}

function describe({ info }: Engine): Record<string, unknown> {
  return {
    id: info.id,
    object: "model",
    created: info.created,
    owned_by: "pronk",
    context_length: info.ctx,
    backend: info.backend,
    kernel: info.kernel,
    kernel_reason: info.kernelReason,
  };
}
