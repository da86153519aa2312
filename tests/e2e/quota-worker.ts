/** The Worker of workers/cloudflare.ts with keys whose quotas are in a Durable Object. */
import { createWorker, r2Source, type Worker } from "../../src/platform/cloudflare/index.ts";
import plain from "../../wasm/dist/plain.wasm";
import relaxed from "../../wasm/dist/relaxed.wasm";

export { QuotaObject } from "../../src/platform/cloudflare/index.ts";

type Env = { readonly MODELS: Parameters<typeof r2Source>[0]; readonly PACK: string };

const worker: Worker<Env> = createWorker<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  ctx: 256,
});

export default worker;
