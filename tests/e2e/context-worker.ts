/** The Worker of workers/cloudflare.ts with room for 2,048 positions. */
import { createWorker, r2Source, type Worker } from "../../src/platform/cloudflare/index.ts";
import plain from "../../wasm/dist/plain.wasm";
import relaxed from "../../wasm/dist/relaxed.wasm";

type Env = { readonly MODELS: Parameters<typeof r2Source>[0]; readonly PACK: string };

const worker: Worker<Env> = createWorker<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  ctx: 2048,
  cpuMs: 300_000,
});

export default worker;
