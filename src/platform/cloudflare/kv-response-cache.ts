/** Answers kept in Workers KV, for all isolates of all places; a write is seen elsewhere within a minute. */
import type { ResponseCacheStore } from "../../server/response-cache.ts";

/** What is used of KVNamespace. */
export interface CacheNamespace {
  get(key: string): Promise<string | null>;
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>;
}

/** A day; KV takes 60 seconds at least. */
const DEFAULT_TTL_SECONDS = 86_400;

/** @param ttlSeconds how long an answer is kept. */
export function kvResponseCache(
  namespace: CacheNamespace,
  { ttlSeconds = DEFAULT_TTL_SECONDS }: { readonly ttlSeconds?: number } = {},
): ResponseCacheStore {
  return {
    get: (key) => namespace.get(`answer:${key}`),
    set: (key, value) => namespace.put(`answer:${key}`, value, { expirationTtl: ttlSeconds }),
  };
}
