/** The Worker of workers/cloudflare.ts with an adapter beside its pack, and two slots. */
import { createWorker, r2Source, type Worker } from "../../src/platform/cloudflare/index.ts";
import plain from "../../wasm/dist/plain.wasm";
import relaxed from "../../wasm/dist/relaxed.wasm";

type Env = { readonly MODELS: Parameters<typeof r2Source>[0]; readonly PACK: string };

const worker: Worker<Env> = createWorker<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  adapters: (env) => ({ pirate: r2Source(env.MODELS, `${env.PACK}/lora`) }),
  applyAdapters: false,
  slots: 2,
  ctx: 256,
  app: () => ({ allowAdapterLoading: true }),
});

export default worker;
