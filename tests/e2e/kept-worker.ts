/** The Worker of workers/cloudflare.ts with a snapshot beside its pack, and answers kept in KV. */
import {
  createWorker,
  kvResponseCache,
  r2Source,
  type Worker,
} from "../../src/platform/cloudflare/index.ts";
import plain from "../../wasm/dist/plain.wasm";
import relaxed from "../../wasm/dist/relaxed.wasm";

interface Env {
  readonly MODELS: Parameters<typeof r2Source>[0];
  readonly CACHE: Parameters<typeof kvResponseCache>[0];
  readonly PACK: string;
}

const worker: Worker<Env> = createWorker<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  snapshots: ["system.snapshot"],
  app: (env) => ({ cache: { store: kvResponseCache(env.CACHE) } }),
  ctx: 256,
});

export default worker;
