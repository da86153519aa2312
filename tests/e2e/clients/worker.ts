/** The served app in a Worker. */
import { createWorker, r2Source } from "../../../src/platform/cloudflare/index.ts";
import plain from "../../../wasm/dist/plain.wasm";
import relaxed from "../../../wasm/dist/relaxed.wasm";
import { MODEL, servedApp } from "./served-app.ts";

type Env = { readonly MODELS: Parameters<typeof r2Source>[0]; readonly PACK: string };

const worker = createWorker<Env>({
  id: MODEL,
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  slots: 2,
  ctx: 512,
});

let app: ReturnType<typeof servedApp> | undefined;

export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    app ??= servedApp(() => worker.engine(env));
    return app.fetch(request);
  },
};
