import { createWorker, r2Source } from "pronk/cloudflare";
import plain from "pronk/kernels/plain.wasm";
import relaxed from "pronk/kernels/relaxed.wasm";

interface Env {
  readonly MODELS: R2Bucket;
}

export default createWorker<Env>({
  id: "smollm2-135m-instruct",
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, "smollm2-135m-instruct"),
});
