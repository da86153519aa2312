/**
 * The Worker of workers/cloudflare-staged.ts, with routes for tests: the hash over the stages' logits, the
 * bucket's objects, and what is asked of a stage itself.
 */
import { type Hasher, hashLogits } from "../../src/cli/logits-hash.ts";
import { connectStages, openStagedPack } from "../../src/engine/load-staged.ts";
import type { Runtime } from "../../src/engine/runtime.ts";
import { r2Source } from "../../src/platform/cloudflare/index.ts";
import { yieldTask } from "../../src/platform/cloudflare/yield.ts";
import worker from "../../workers/cloudflare-staged.ts";

type Env = Parameters<typeof worker.fetch>[1];

declare class DigestStream extends WritableStream<Uint8Array> {
  readonly digest: Promise<ArrayBuffer>;
  constructor(algorithm: string);
}

function createHasher(): Hasher {
  const stream = new (crypto as unknown as { DigestStream: typeof DigestStream }).DigestStream(
    "SHA-256",
  );
  const writer = stream.getWriter();
  return {
    update: (bytes) => writer.write(bytes.slice()),
    async digest() {
      await writer.close();
      const bytes = new Uint8Array(await stream.digest);
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    },
  };
}

async function hash(env: Env): Promise<Response> {
  const runtime = {
    ...{ kernels: {}, yieldTask, randomSeed: () => 0 },
    now: () => performance.now(),
    wallClock: () => Date.now(),
  } as unknown as Runtime;
  const pack = await openStagedPack(r2Source(env.MODELS, env.PACK), runtime);
  const addresses = [];
  const closing: Promise<void>[] = [];
  for (let i = 0; env[`STAGE_${i}`] !== undefined; i++) {
    const session = await env[`STAGE_${i}`].open();
    addresses.push({
      name: `stage ${i}`,
      connect: async () => ({
        send: (message: Uint8Array<ArrayBuffer>): Promise<Uint8Array> => session.answer(message),
        close() {
          closing.push(session.close().finally(() => session[Symbol.dispose]()));
        },
      }),
    });
  }
  const { runner } = await connectStages(pack, addresses, runtime, { slots: 1 });
  const options = { chunk: runner.maxLogits, batch: 1, speculate: false, yieldTask };
  const found = await hashLogits(runner, createHasher(), options);
  runner.dispose();
  await Promise.all(closing);
  return Response.json(found);
}

/** Makes V8 collect what nobody has any more, which is when workerd warns of it. */
async function collectGarbage(): Promise<Response> {
  for (let i = 0; i < 40; i++) {
    new Uint8Array(16_000_000).fill(1);
    await yieldTask();
  }
  return new Response("collected");
}

interface Bucket {
  head(key: string): Promise<object | null>;
  put(key: string, value: ReadableStream | null): Promise<unknown>;
}

async function objectOf(request: Request, env: Env, key: string): Promise<Response> {
  const bucket = env.MODELS as unknown as Bucket;
  if (request.method === "PUT") await bucket.put(key, request.body);
  return new Response(null, { status: (await bucket.head(key)) ? 200 : 404 });
}

export default {
  fetch(
    request: Request,
    env: Env,
    context: Parameters<typeof worker.fetch>[2],
  ): Response | Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, route, name = "", ...rest] = pathname.split("/");
    if (route === "hash") return hash(env);
    if (route === "collect") return collectGarbage();
    if (route === "objects") return objectOf(request, env, [name, ...rest].join("/"));
    if (route === "stages") {
      const stage = env[`STAGE_${Number(name)}`] as unknown as { fetch: typeof fetch };
      return stage.fetch(`http://stage/${rest.join("/")}`, { method: request.method });
    }
    return worker.fetch(request, env, context);
  },
};
