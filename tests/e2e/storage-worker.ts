/**
 * A Worker that loads packs from what fails: R2 whose answers are spoiled as the request says, S3 through the proxy, and a
 * cache before either. The answer is what came of it. Run in workerd by storage-workerd.test.ts.
 */
import { cachedSource, r2Source, s3Source } from "../../src/platform/cloudflare/index.ts";
import plain from "../../wasm/dist/plain.wasm";
import relaxed from "../../wasm/dist/relaxed.wasm";
import { loadPack } from "./storage-load.ts";
import { type Bucket, spoiledBucket } from "./storage-r2-faults.ts";

type Env = { readonly MODELS: Bucket; readonly PACK: string };

const runtime = {
  kernels: { plain, relaxed },
  yieldTask: () => new Promise<void>((resolve) => setTimeout(resolve, 0)),
  now: () => performance.now(),
  wallClock: () => Date.now(),
  randomSeed: () => 1,
};

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const limitMs = Number(query.get("limit"));
    const limits = { stallTimeoutMs: limitMs };
    const spoiled = spoiledBucket(env.MODELS, JSON.parse(query.get("faults") ?? "[]"));
    const url = query.get("s3");
    const folder =
      url === null
        ? r2Source(spoiled.bucket, env.PACK, limits)
        : s3Source({
            endpoint: url,
            bucket: query.get("bucket") ?? "",
            prefix: "tiny",
            credentials: { accessKeyId: "key", secretAccessKey: "secret-key" },
            connectTimeoutMs: limitMs,
            ...limits,
          });
    const cacheName = query.get("cache");
    const poisoned = query.get("poison");
    if (cacheName !== null && poisoned !== null) await poison(cacheName, poisoned);
    const pack = cacheName === null ? folder : cachedSource(folder, { cacheName });
    const loaded = await loadPack(pack, query.has("asked") ? runtime : undefined);
    return Response.json({ ...loaded, reads: spoiled.reads() });
  },
};

/** A byte of what the cache keeps of an object becomes another. */
async function poison(cacheName: string, object: string): Promise<void> {
  const cache = await caches.open(cacheName);
  const url = `https://pronk.invalid/${object}`;
  const found = await cache.match(url);
  if (!found) throw new Error(`${object} is not in the cache`);
  const bytes = new Uint8Array(await found.arrayBuffer());
  bytes[17]! ^= 4;
  await cache.put(url, new Response(bytes, { headers: found.headers }));
}
