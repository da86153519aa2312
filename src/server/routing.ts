/** Registers routes with what every path needs: authentication, 405 for other methods, slashes. */
import type { Hono } from "hono";
import { getPath } from "hono/utils/url";
import type { Authenticate } from "./auth.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { RequestError } from "./errors.ts";
import { pathTemplate, type Route } from "./operation.ts";

/**
 * Adds the routes, and after them the answer for every other path.
 *
 * @param home the page at the app's root
 */
export function addRoutes(
  app: Hono<AppEnv>,
  routes: readonly Route[],
  authenticate: Authenticate,
  admit: (c: AppContext) => Promise<void>,
  home?: (c: AppContext) => Promise<Response>,
): void {
  for (const route of routes) {
    const { path, isPublic, methods, errors } = route;
    const template = pathTemplate(route);
    if (errors !== undefined) {
      app.use(path, async (c, next) => {
        c.set("errorForm", errors);
        await next();
      });
    }
    for (const [method, { handle, body }] of Object.entries(methods)) {
      app.on(method, path, async (c) => {
        const record = c.get("record");
        record.route = template;
        if (!isPublic) record.caller = await authenticate(c.req.raw.headers);
        // What reads no body costs nothing that would have to be shared out.
        if (body !== undefined) await admit(c);
        return handle(c);
      });
    }
    const allow = Object.keys(methods).flatMap((m) => (m === "GET" ? ["GET", "HEAD"] : [m]));
    app.all(path, (c) => {
      c.get("record").route = template;
      c.header("allow", [...allow, "OPTIONS"].join(", "));
      throw new RequestError("method_not_allowed", `${c.req.method} ${c.req.path}: not allowed`);
    });
  }
  app.all("*", (c, next) => {
    const { base, isLast } = placeOf(c);
    // The app around matches its paths strictly: `/llm/` is none of the routes of `/llm`.
    const isHome = base !== "/" && c.req.path === `${base}/`;
    if (home !== undefined && isHome && ["GET", "HEAD"].includes(c.req.method)) {
      c.get("record").route = "/";
      return home(c);
    }
    // Its own app's notFound, or what the one around it has behind.
    if (base === "/" || !isLast) return next();
    throw unknownUrl(c);
  });
}

export function unknownUrl(c: AppContext): RequestError {
  return new RequestError("unknown_url", `unknown URL: ${c.req.method} ${c.req.path}`);
}

/**
 * Whether a request at the root, where another app's routes are as well, is for none of these paths. Those
 * of a path of its own are all this app's.
 */
export function isEmbeddedElsewhere(c: AppContext, paths: ReadonlySet<string>): boolean {
  const { base, matched } = placeOf(c);
  return base === "/" && !matched.some(({ path }) => paths.has(path));
}

/** Where the app that the running handler belongs to is mounted; and whether no handler comes after it. */
function placeOf(c: AppContext): {
  readonly base: string;
  readonly isLast: boolean;
  readonly matched: readonly { readonly path: string }[];
} {
  // Not by hono/route, which knows no requests of another copy of Hono, as the app around may have.
  const { matchedRoutes: matched, routeIndex } = c.req;
  return {
    base: matched[routeIndex]?.basePath ?? "/",
    isLast: routeIndex === matched.length - 1,
    matched,
  };
}

/** The path with single slashes and none at its end, as `new Hono({ getPath })` takes it. */
export function tolerantPath(request: Request): string {
  const path = getPath(request).replace(/\/{2,}/g, "/");
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
