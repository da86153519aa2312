/**
 * Engine objects, in a script of their own: its isolate's memory is the model's. No request comes here but from the
 * Workers that are bound to the class (workers/cloudflare-front.ts). wrangler.engine.toml has the bindings.
 */
import {
  createEngineObject,
  type EngineObjectClass,
  r2Source,
} from "../src/platform/cloudflare/index.ts";
import plain from "../wasm/dist/plain.wasm";
import relaxed from "../wasm/dist/relaxed.wasm";

type Env = {
  readonly MODELS: Parameters<typeof r2Source>[0];
  /** The pack's prefix in the bucket. */
  readonly PACK: string;
};

const Base: EngineObjectClass<Env> = createEngineObject<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
});

export class EngineObject extends Base {}

export default {
  fetch: (): Response => new Response(null, { status: 404 }),
};
