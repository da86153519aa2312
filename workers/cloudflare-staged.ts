/**
 * The Worker in front of stages: HTTP, the tokenizer, the engine. Its service bindings are STAGE_0, STAGE_1 and so on,
 * each a script of cloudflare-stage.ts. Outside this repository the import is "pronk/cloudflare".
 */
import {
  createStagedWorker,
  r2Source,
  type StageBinding,
  type StagedWorker,
} from "../src/platform/cloudflare/index.ts";

type Env = {
  readonly MODELS: Parameters<typeof r2Source>[0];
  /** The pack's prefix in the bucket. */
  readonly PACK: string;
} & { readonly [stage: `STAGE_${number}`]: StageBinding };

const worker: StagedWorker<Env> = createStagedWorker<Env>({
  pack: (env) => r2Source(env.MODELS, env.PACK),
  stages(env) {
    const bindings: StageBinding[] = [];
    for (let i = 0; env[`STAGE_${i}`] !== undefined; i++) bindings.push(env[`STAGE_${i}`]);
    return bindings;
  },
});

export default worker;
