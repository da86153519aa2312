/** The Worker with the model: HTTP for clients, methods for Workers that are bound to it. */
import { createWorker, r2Source } from "pronk/cloudflare";
import { llmService } from "pronk/cloudflare/service";
import plain from "pronk/kernels/plain.wasm";
import relaxed from "pronk/kernels/relaxed.wasm";

interface Env {
  readonly MODELS: R2Bucket;
}

export default llmService(
  createWorker<Env>({
    id: "smollm2-135m-instruct",
    kernels: { relaxed, plain },
    pack: (env) => r2Source(env.MODELS, "smollm2-135m-instruct"),
  }),
);
