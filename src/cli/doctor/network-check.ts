/** Whether models can be fetched, and by which way. */
import { DEFAULT_HUB } from "../../hub/model-hub.ts";
import { shownUrl } from "../../hub/remote.ts";
import type { Environment } from "../../platform/host/cache-folder.ts";
import { isOffline } from "../../platform/host/hf-cache.ts";
import type { Check } from "./check.ts";

const ANSWER_MS = 4000;

export async function networkCheck(
  env: Environment,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<Check> {
  const asked = env.HF_ENDPOINT || DEFAULT_HUB;
  const hub = shownHub(asked);
  const proxy = env.HTTPS_PROXY || env.https_proxy;
  const way = proxy ? ` by way of ${shownProxy(proxy)}` : "";
  const token = env.HF_TOKEN ? ", HF_TOKEN is set" : "";
  const facts = { hub, proxy: proxy ? shownProxy(proxy) : null, hf_token: Boolean(env.HF_TOKEN) };
  if (isOffline(env)) {
    const found = "not asked: HF_HUB_OFFLINE is set; models come from the cache and from paths";
    return { name: "network", status: "ok", found, facts: { ...facts, hub_reached: null } };
  }
  const started = performance.now();
  const warn = (found: string, change: string): Check => {
    return {
      name: "network",
      status: "warn",
      found,
      change,
      facts: { ...facts, hub_reached: false },
    };
  };
  try {
    const late = AbortSignal.timeout(ANSWER_MS);
    // A page of the API that answers everybody, and is small.
    const url = new URL("/api/models?limit=1", asked);
    const response = await fetch(url, { signal: AbortSignal.any([late, signal]) });
    await response.body?.cancel();
    const ms = Math.round(performance.now() - started);
    if (response.status === 407) {
      return warn(`${hub}: the proxy wants a login`, "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT");
    }
    if (response.status >= 500 || response.status === 429) {
      return warn(`${hub}: HTTP ${response.status}${way}`, "later, or HF_ENDPOINT=URL of a mirror");
    }
    const found = `${hub} answers in ${ms} ms${way}${token}`;
    return {
      name: "network",
      status: "ok",
      found,
      facts: { ...facts, hub_reached: true, hub_ms: ms },
    };
  } catch (error) {
    const change = proxy
      ? "look at HTTPS_PROXY and NO_PROXY; HF_ENDPOINT=URL takes a mirror; models by path need no network"
      : "HTTPS_PROXY=http://HOST:PORT behind a proxy, HF_ENDPOINT=URL of a mirror; models by path need no network";
    return warn(`${hub}${way}: ${reasonOf(error)}`, change);
  }
}

function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  // It repeats the address, and what stands in it.
  if (name === "TypeError" && /URL/.test(message)) return "no address that can be asked";
  if (name === "TimeoutError" || name === "AbortError")
    return `no answer within ${ANSWER_MS / 1000} s`;
  return cause?.code ?? cause?.message ?? message;
}

/** Without the credentials that it may hold. */
function shownHub(hub: string): string {
  return URL.canParse(hub) ? shownUrl(hub).replace(/\/$/, "") : "HF_ENDPOINT, which is no URL";
}

/** The same. */
function shownProxy(proxy: string): string {
  return URL.canParse(proxy) ? new URL(proxy).host : "HTTPS_PROXY, which is no URL";
}
