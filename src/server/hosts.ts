/**
 * Which names a request may be for. A page can have its own name point to this machine (DNS rebinding); for the
 * browser what answers there is that page's own server, and no rule of origins applies. The name is what betrays it.
 */
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "./context.ts";
import { RequestError } from "./errors.ts";

/** Names that nobody else can have: RFC 6761 keeps `localhost` and what is below it. As URLs spell addresses. */
export function isLoopbackName(hostname: string): boolean {
  return /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])\.?$/i.test(hostname);
}

/**
 * Throws RequestError "foreign_host" for any other name.
 *
 * @param hosts names and addresses without ports, beside those of this machine for itself; undefined: any is good.
 */
export function onlyHosts(hosts: readonly string[] | undefined): MiddlewareHandler<AppEnv> {
  const allowed = new Set(hosts?.map((host) => host.toLowerCase()));
  return async (c, next) => {
    if (hosts === undefined) return next();
    const { hostname } = new URL(c.req.url);
    // Of several Host headers runtimes take the first; proxies may have taken another.
    const given = c.req.header("host");
    const isOne = given === undefined || !given.includes(",");
    if (isOne && (isLoopbackName(hostname) || allowed.has(hostname))) return next();
    throw new RequestError(
      "foreign_host",
      "host: not a name of this server; --allowed-hosts of pronk serve, or hosts of createApp, adds it",
      { param: "host" },
    );
  };
}
