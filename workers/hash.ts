/**
 * Answers with the hash of the model's logits, as `pronk hash` computes it: proof that an isolate,
 * here or deployed, gives the same bits. ?chunk=N, ?batch=N and ?speculate=true as on the command
 * line.
 */
import {
  HASH_CTX,
  HASH_PROMPT_TOKENS,
  type Hasher,
  hashLogits,
  hashRows,
} from "../src/cli/logits-hash.ts";
import { type LoadOptions, loadModel } from "../src/engine/load-model.ts";
import { now, randomSeed, wallClock } from "../src/platform/clock.ts";
import { r2Source } from "../src/platform/cloudflare/index.ts";
import { yieldTask } from "../src/platform/cloudflare/yield.ts";
import plain from "../wasm/dist/plain.wasm";
import relaxed from "../wasm/dist/relaxed.wasm";

interface Env {
  readonly MODELS: Parameters<typeof r2Source>[0];
  readonly PACK: string;
}

/** workerd's incremental digest. */
declare class DigestStream extends WritableStream<Uint8Array> {
  constructor(algorithm: "SHA-256");
  readonly digest: Promise<ArrayBuffer>;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const number = (name: string, standard: number): number => Number(query.get(name) ?? standard);
    const positions = number("positions", HASH_PROMPT_TOKENS);
    const chunk = number("chunk", 64);
    const batch = number("batch", 1);
    const how = { positions, chunk, batch, speculate: query.get("speculate") === "true" };
    const option = (name: string): never => (query.get(name) ?? undefined) as never;
    const options: LoadOptions = { kv: option("kv"), kernel: option("kernel") };
    const runtime = { kernels: { relaxed, plain }, yieldTask, now, wallClock, randomSeed };
    try {
      const { runner } = await loadModel({ pack: r2Source(env.MODELS, env.PACK) }, runtime, {
        ...options,
        backend: option("backend"),
        ctx: HASH_CTX,
        slots: batch,
        chunk: hashRows(how),
        maxLogits: hashRows(how),
      });
      const found = await hashLogits(runner, createHasher(), { ...how, yieldTask });
      return Response.json({ ...found, kernel: runner.kernel });
    } catch (error) {
      return Response.json({ error: (error as Error).message }, { status: 500 });
    }
  },
};

function createHasher(): Hasher {
  const { DigestStream: Digest } = crypto as unknown as { DigestStream: typeof DigestStream };
  const stream = new Digest("SHA-256");
  const writer = stream.getWriter();
  return {
    // A copy: the stream reads it after the next batch may have begun.
    update: (bytes) => writer.write(bytes.slice()),
    async digest(): Promise<string> {
      await writer.close();
      const hash = new Uint8Array(await stream.digest);
      return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
    },
  };
}
