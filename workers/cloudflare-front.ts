/**
 * The Worker in front of engine objects (workers/cloudflare-engine.ts): the HTTP API, with the tokenizer and without
 * the model. wrangler.front.toml names the bindings; docs/deploy/cloudflare-objects.md says how to deploy both.
 */
import {
  createFrontWorker,
  type EngineNamespace,
  r2Source,
  type Worker,
} from "../src/platform/cloudflare/index.ts";

/** Quotas of API keys, and answers of /v1/responses, each an object of its own. */
export { QuotaObject, ResponsesObject } from "../src/platform/cloudflare/index.ts";

type Env = {
  readonly MODELS: Parameters<typeof r2Source>[0];
  /** The pack's prefix in the bucket: the engines' one. */
  readonly PACK: string;
  readonly ENGINES: EngineNamespace;
  /** How many objects share the requests. */
  readonly OBJECTS?: string;
};

const worker: Worker<Env> = createFrontWorker<Env>({
  pack: (env) => r2Source(env.MODELS, env.PACK),
  engines: (env) => env.ENGINES,
  objects: (env) => Number(env.OBJECTS ?? 1),
});

export default worker;
