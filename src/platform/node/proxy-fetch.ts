/**
 * fetch through HTTPS_PROXY, as other tools understand it; Node's own ignores it. GET of https URLs
 * goes through a CONNECT tunnel, everything else through Node's fetch.
 *
 * Source: RFC 9110, section 9.3.6; NO_PROXY as in curl: hosts and domains, separated by commas.
 */
import { PronkError } from "../../errors.ts";
import type { Environment } from "../host/cache-folder.ts";

export interface ProxyFetchOptions {
  /** Certificates to trust instead of Node's own. */
  readonly ca?: string;
}

/** Node's own fetch where no proxy is set. */
export function createProxyFetch(
  env: Environment,
  { ca }: ProxyFetchOptions = {},
): typeof globalThis.fetch {
  const setting = env.HTTPS_PROXY || env.https_proxy;
  if (!setting) return globalThis.fetch;
  const text = setting.includes("://") ? setting : `http://${setting}`;
  if (!URL.canParse(text)) {
    // Said when it is used: most commands need no network. The value may hold a password.
    return () => Promise.reject(new PronkError("bad_request", "HTTPS_PROXY: not a URL"));
  }
  const proxy = new URL(text);
  const direct = (env.NO_PROXY || env.no_proxy || "").split(",").map((name) => name.trim());
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? "GET";
    if (url.protocol !== "https:" || method !== "GET" || isDirect(url.hostname, direct)) {
      return globalThis.fetch(input, init);
    }
    // Loaded only here: HTTP and TLS are a tenth of a command's start, and 15 MB.
    const { getThroughProxy } = await import("./proxy-tunnel.ts");
    return getThroughProxy(proxy, url, new Headers(init?.headers), {
      ca,
      signal: init?.signal ?? undefined,
    });
  };
}

function isDirect(host: string, direct: readonly string[]): boolean {
  return direct.some((name) => {
    const domain = name.replace(/^\*?\./, "");
    return name === "*" || (domain !== "" && (host === domain || host.endsWith(`.${domain}`)));
  });
}
