/** R2 whose answers are spoiled: what its binding may do wrong, in the Worker that uses it. */
import type { r2Source } from "../../src/platform/cloudflare/index.ts";

export type Bucket = Parameters<typeof r2Source>[0];
type R2Object = NonNullable<Awaited<ReturnType<Bucket["get"]>>>;
type Range = { readonly offset: number; readonly length: number };

/** The next answers for keys that end so, one each; undefined: as it is. */
export interface R2Schedule {
  readonly key: string;
  readonly faults: readonly (string | null)[];
  /** Whether the last of them stays. */
  readonly isForGood?: boolean;
}

interface Asked {
  readonly bucket: Bucket;
  readonly key: string;
  readonly options: Parameters<Bucket["get"]>[1];
}

const bytesOf = async (found: R2Object): Promise<Uint8Array> =>
  new Uint8Array(await new Response(found.body as ReadableStream).arrayBuffer());

/** The object with a body of these bytes, after which `end` does what it does. */
function withBody(
  { size, etag }: R2Object,
  bytes: Uint8Array,
  end: (controller: ReadableStreamDefaultController<Uint8Array>) => void | Promise<void> = (c) =>
    c.close(),
): R2Object {
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent || bytes.length === 0) return end(controller);
      sent = true;
      controller.enqueue(bytes);
    },
  });
  return { size, etag, body };
}

const get = async ({ bucket, key, options }: Asked, range: Range = options.range) => {
  const found = await bucket.get(key, { ...options, range });
  if (!found) throw new Error("get: no such object");
  return found;
};

const changed =
  (change: (bytes: Uint8Array) => Uint8Array) =>
  async (asked: Asked): Promise<R2Object> => {
    const found = await get(asked);
    return withBody(found, change(await bytesOf(found)));
  };

const never = (): Promise<never> => new Promise(() => undefined);
let versions = 0;

/** By name, for `get`. */
export const R2_FAULTS: Readonly<Record<string, (asked: Asked) => Promise<R2Object | null>>> = {
  "an internal error": async () => {
    throw new Error("get: We encountered an internal error. Please try again. (10001)");
  },
  "a network error": async () => {
    throw new Error("Network connection lost.");
  },
  "no answer, for ever": never,
  "a body that breaks off": async (asked) => {
    const found = await get(asked);
    const bytes = await bytesOf(found);
    return withBody(found, bytes.slice(0, bytes.length >> 1), (c) => c.error(new Error("lost")));
  },
  "a body that stands still for ever": async (asked) => {
    const found = await get(asked);
    const bytes = await bytesOf(found);
    return withBody(found, bytes.slice(0, bytes.length >> 1), never);
  },
  "a body that ends early": changed((bytes) => bytes.slice(0, bytes.length >> 1)),
  "an empty body": changed(() => new Uint8Array(0)),
  "no body": async (asked) => {
    const { size, etag, body } = await get(asked);
    await body?.cancel();
    return { size, etag };
  },
  "a byte too many": changed((bytes) => new Uint8Array([...bytes, 0])),
  "a flipped bit": changed((bytes) => bytes.map((byte, i) => (i === 17 ? byte ^ 4 : byte))),
  "other bytes": changed((bytes) => bytes.map((byte) => byte ^ 0xa5)),
  "a range that is shifted": async (asked) => {
    const { offset, length } = asked.options.range;
    return get(asked, { offset: offset + 1, length: length - 1 });
  },
  "another size": async (asked) => ({ ...(await whole(asked)), size: 12_345_678 }),
  "another ETag": async (asked) => ({ ...(await whole(asked)), etag: `v${versions++}` }),
};

async function whole(asked: Asked): Promise<R2Object> {
  const found = await get(asked);
  return { size: found.size, etag: found.etag, body: found.body };
}

/** The bucket, spoiled by a schedule. */
export function spoiledBucket(
  bucket: Bucket,
  schedules: readonly R2Schedule[],
): { readonly bucket: Bucket; readonly reads: () => number } {
  const left = schedules.map(({ faults }) => [...faults]);
  let reads = 0;
  return {
    reads: () => reads,
    bucket: {
      head: (key) => bucket.head(key),
      get(key, options) {
        reads++;
        const i = schedules.findIndex((schedule) => key.endsWith(schedule.key));
        const isLast = left[i]?.length === 1 && schedules[i]?.isForGood === true;
        const name = isLast ? left[i]![0] : left[i]?.shift();
        const fault = typeof name === "string" ? R2_FAULTS[name] : undefined;
        return fault ? fault({ bucket, key, options }) : bucket.get(key, options);
      },
    },
  };
}
