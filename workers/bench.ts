/**
 * The Worker that `npm run bench -- peers` measures on a local workerd: the one that deploys, but
 * with the pack, context and cache that the other runtimes have, for which an isolate has no room.
 */
import { BENCH_CTX } from "../src/cli/bench-workload.ts";
import { createWorker, r2Source, type Worker } from "../src/platform/cloudflare/index.ts";
import plain from "../wasm/dist/plain.wasm";
import relaxed from "../wasm/dist/relaxed.wasm";

type Env = {
  readonly MODELS: Parameters<typeof r2Source>[0];
  /** The pack's prefix in the bucket. */
  readonly PACK: string;
};

const worker: Worker<Env> = createWorker<Env>({
  id: "bench",
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  ctx: BENCH_CTX,
  budgetBytes: 512_000_000,
});

export default worker;
