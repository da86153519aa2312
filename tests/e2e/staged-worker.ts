/** The Worker of workers/cloudflare-staged.ts, with a route for the hash over the stages' logits. */
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
  for (let i = 0; env[`STAGE_${i}`] !== undefined; i++) {
    const session = await env[`STAGE_${i}`].open();
    addresses.push({
      name: `stage ${i}`,
      connect: async () => ({
        send: (message: Uint8Array<ArrayBuffer>): Promise<Uint8Array> => session.answer(message),
        close: () => void session.close(),
      }),
    });
  }
  const { runner } = await connectStages(pack, addresses, runtime, { slots: 1 });
  const options = { chunk: runner.maxLogits, batch: 1, speculate: false, yieldTask };
  const found = await hashLogits(runner, createHasher(), options);
  runner.dispose();
  return Response.json(found);
}

export default {
  fetch(
    request: Request,
    env: Env,
    context: Parameters<typeof worker.fetch>[2],
  ): Response | Promise<Response> {
    if (new URL(request.url).pathname === "/hash") return hash(env);
    return worker.fetch(request, env, context);
  },
};
