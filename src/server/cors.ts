/**
 * CORS, so that pages call the API. Any origin may by default, without cookies: keys travel in
 * headers, which a foreign page does not have.
 *
 * `*` never covers Authorization in Access-Control-Allow-Headers, and clients add headers of their
 * own (x-stainless-*, openai-*), so the requested names are allowed by name.
 * Source: https://fetch.spec.whatwg.org/#http-cors-protocol
 */
import type { MiddlewareHandler } from "hono";
import type { AppContext, AppEnv } from "./context.ts";
import { RequestError } from "./errors.ts";
import { isLoopbackName } from "./hosts.ts";

export interface CorsOptions {
  /**
   * `"*"`; or the exact origins that may call, such as `https://example.com`; or `"loopback"`: pages that this machine
   * serves itself. But for `"*"`, requests of pages from elsewhere are 403: what a page cannot read it can still send.
   */
  readonly origins: "*" | "loopback" | readonly string[];
}

const ALLOW_METHODS = "GET,POST,DELETE,OPTIONS";
const ALLOW_HEADERS = ["authorization", "content-type"];
/** What clients read of answers; scripts see only headers named here. */
const EXPOSE_HEADERS = [
  "x-request-id",
  "x-pronk-cache",
  "x-should-retry",
  "retry-after",
  "retry-after-ms",
  "server-timing",
  "openai-processing-ms",
  ...["limit", "remaining", "reset"].flatMap((what) => [
    `x-ratelimit-${what}-requests`,
    `x-ratelimit-${what}-tokens`,
  ]),
].join(",");
/** Seconds that a preflight is remembered; Chromium's own ceiling. */
const MAX_AGE = "7200";
/** A header name of RFC 9110, kept short: what is echoed must not be a way to write headers. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}$/;
/** Clients send about a dozen; more is no client. */
const MAX_REQUESTED_HEADERS = 64;

/**
 * Answers every OPTIONS request with 204, and marks every other answer, errors included. Throws RequestError
 * "foreign_origin" where a page from elsewhere asks.
 */
export function cors(options: CorsOptions | false): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const preflight = c.req.method === "OPTIONS";
    const origin = options === false ? undefined : allowedOrigin(options, c.req.header("origin"));
    if (options !== false && options.origins !== "*") c.header("vary", "Origin", { append: true });
    if (origin !== undefined) {
      c.header("access-control-allow-origin", origin);
      c.header("access-control-expose-headers", EXPOSE_HEADERS);
    }
    if (!preflight) {
      if (options !== false && origin === undefined) refuseForeign(c);
      return next();
    }
    if (origin !== undefined) {
      const requested = c.req.header("access-control-request-headers");
      c.header("access-control-allow-methods", ALLOW_METHODS);
      c.header("access-control-allow-headers", allowedHeaders(requested));
      c.header("access-control-max-age", MAX_AGE);
      c.header("vary", "Access-Control-Request-Headers", { append: true });
    }
    return c.body(null, 204);
  };
}

function allowedOrigin(options: CorsOptions, origin: string | undefined): string | undefined {
  if (options.origins === "*") return "*";
  if (origin === undefined) return undefined;
  const isAllowed =
    options.origins === "loopback" ? isLoopbackOrigin(origin) : options.origins.includes(origin);
  return isAllowed ? origin : undefined;
}

/**
 * Browsers say where a page is from that sends anything but GET and HEAD, and nothing else does. A form or a text/plain
 * body needs no preflight, so that it would be run, and only its answer withheld.
 */
function refuseForeign(c: AppContext): void {
  const origin = c.req.header("origin");
  if (origin === undefined || c.req.header("sec-fetch-site") === "same-origin") return;
  if (URL.canParse(origin) && new URL(origin).host === new URL(c.req.url).host) return;
  throw new RequestError(
    "foreign_origin",
    "origin: pages of other sites may not ask this server; --cors of pronk serve, or cors of createApp, lets them",
    { param: "origin" },
  );
}

function isLoopbackOrigin(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, hostname } = new URL(origin);
  return /^https?:$/.test(protocol) && isLoopbackName(hostname);
}

function allowedHeaders(requested: string | undefined): string {
  const names = (requested ?? "").split(",", MAX_REQUESTED_HEADERS);
  const sane = names.map((name) => name.trim().toLowerCase()).filter((n) => HEADER_NAME.test(n));
  return [...new Set([...ALLOW_HEADERS, ...sane])].join(",");
}
