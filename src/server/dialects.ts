/** APIs of other families over the same engine: thin translations of the chat route's requests and answers. */
import { PronkError } from "../errors.ts";
import { anthropicRoutes } from "./anthropic/routes.ts";
import type { ServerContext } from "./context.ts";
import { ollamaRoutes } from "./ollama/routes.ts";
import type { Route } from "./operation.ts";

export type Dialect = "ollama" | "anthropic";

export const DIALECTS: readonly Dialect[] = ["ollama", "anthropic"];

const ROUTES: Readonly<Record<Dialect, (server: ServerContext) => Route[]>> = {
  ollama: ollamaRoutes,
  anthropic: anthropicRoutes,
};

/** @throws PronkError "bad_request" for a name that is none. */
export function dialectRoutes(server: ServerContext, dialects: readonly Dialect[]): Route[] {
  return dialects.flatMap((dialect) => {
    const routes = ROUTES[dialect];
    if (routes !== undefined) return routes(server);
    throw new PronkError("bad_request", `dialects: ${dialect} is none of ${DIALECTS.join(", ")}`);
  });
}
