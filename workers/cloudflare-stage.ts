/**
 * One stage of a model that no isolate holds alone: the same code in every stage's script, PRONK_STAGE says which part.
 * Outside this repository the imports are "pronk/cloudflare", "pronk/cloudflare/service" and "pronk/kernels/*.wasm".
 */
import { r2Source } from "../src/platform/cloudflare/index.ts";
import { type StageServiceClass, stageService } from "../src/platform/cloudflare/service.ts";
import plain from "../wasm/dist/plain.wasm";
import relaxed from "../wasm/dist/relaxed.wasm";

type Env = {
  readonly MODELS: Parameters<typeof r2Source>[0];
  /** The pack's prefix in the bucket: the whole model's, of which this script reads its shards. */
  readonly PACK: string;
  /** The part, as `pronk deploy` writes it: {"embedding":[0,0],"layers":[2,4],"head":[0,0],"ctx":1024,...}. */
  readonly PRONK_STAGE: string;
};

const stage: StageServiceClass<Env> = stageService<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  stage: (env) => env.PRONK_STAGE,
});

export default stage;
