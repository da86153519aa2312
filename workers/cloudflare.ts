/**
 * The Worker that `npm run dev` starts and `wrangler deploy` uploads: wrangler.toml names the bucket.
 * Outside this repository the imports are "pronk/cloudflare" and "pronk/kernels/*.wasm".
 */
import { createWorker, r2Source, type Worker } from "../src/platform/cloudflare/index.ts";
import plain from "../wasm/dist/plain.wasm";
import relaxed from "../wasm/dist/relaxed.wasm";

/** Quotas of API keys, where wrangler.toml binds it. */
export { QuotaObject } from "../src/platform/cloudflare/index.ts";

type Env = {
  readonly MODELS: Parameters<typeof r2Source>[0];
  /** The pack's prefix in the bucket. */
  readonly PACK: string;
};

const worker: Worker<Env> = createWorker<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  // As wrangler.toml has it.
  cpuMs: 300_000,
});

export default worker;
