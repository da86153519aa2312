/**
 * Responses on Cloudflare, where isolates share nothing but storage.
 *
 * R2 is consistent: what one isolate put, every other finds. KV is faster to read far from where it was
 * written, but may take a minute until it is found there.
 */
import type { ResponseStore } from "../../server/app.ts";
import type { DurableObjectNamespaceLike } from "./quota-object.ts";
import { durableResponseStore } from "./responses-object.ts";

/** What is used of `R2Bucket` to keep responses. */
export interface ResponseBucketLike {
  get(key: string): Promise<{
    readonly customMetadata?: Record<string, string>;
    text(): Promise<string>;
  } | null>;
  put(
    key: string,
    value: string,
    options: { customMetadata: Record<string, string> },
  ): Promise<unknown>;
  delete(key: string): Promise<void>;
}

/** What is used of `KVNamespace` to keep responses. */
export interface ResponseNamespaceLike {
  get(key: string): Promise<string | null>;
  put(key: string, value: string, options: { expirationTtl: number }): Promise<void>;
  delete(key: string): Promise<void>;
}

/** KV's own bound, in seconds. */
const LEAST_TTL = 60;

/**
 * Objects `responses/resp_…` of a bucket, which may be the models'. A lifecycle rule of the bucket for the
 * prefix removes those that nobody asks for again.
 */
export function r2ResponseStore(bucket: ResponseBucketLike, prefix = "responses"): ResponseStore {
  const keyOf = (id: string): string => `${prefix}/${id}`;
  return {
    async get(id) {
      const object = await bucket.get(keyOf(id));
      if (object === null) return undefined;
      const text = await object.text(); // also where it is over: a body must not be left open
      if (Number(object.customMetadata?.expires) > Date.now()) return text;
      await bucket.delete(keyOf(id));
      return undefined;
    },
    async put(id, text, expiresAt) {
      await bucket.put(keyOf(id), text, { customMetadata: { expires: String(expiresAt) } });
    },
    delete: (id) => bucket.delete(keyOf(id)),
  };
}

/** KV removes by itself what is over. */
export function kvResponseStore(namespace: ResponseNamespaceLike): ResponseStore {
  return {
    get: async (id) => (await namespace.get(id)) ?? undefined,
    put: (id, text, expiresAt) => {
      const seconds = Math.ceil((expiresAt - Date.now()) / 1000);
      return namespace.put(id, text, { expirationTtl: Math.max(LEAST_TTL, seconds) });
    },
    delete: (id) => namespace.delete(id),
  };
}

/** What may be bound to keep responses. */
export type ResponseBinding =
  | ResponseBucketLike
  | ResponseNamespaceLike
  | DurableObjectNamespaceLike;

/** Of what is bound to a name: a bucket, a namespace of KV or of ResponsesObject, or nothing. */
export function responseStoreOf(binding: ResponseBinding | undefined): ResponseStore | false {
  if (binding === undefined) return false;
  if ("idFromName" in binding) return durableResponseStore(binding);
  return "head" in binding
    ? r2ResponseStore(binding as ResponseBucketLike)
    : kvResponseStore(binding as ResponseNamespaceLike);
}
