/** Engine objects as workers/cloudflare-engine.ts has them, that end when they are told to. */
import {
  createEngineObject,
  type EngineObjectClass,
  r2Source,
} from "../../src/platform/cloudflare/index.ts";
import plain from "../../wasm/dist/plain.wasm";
import relaxed from "../../wasm/dist/relaxed.wasm";

type Env = { readonly MODELS: Parameters<typeof r2Source>[0]; readonly PACK: string };

const Base: EngineObjectClass<Env> = createEngineObject<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  slots: 2,
  maxQueue: 4,
});

interface State {
  abort(reason: string): void;
  readonly storage: { readonly sql: { exec(query: string): { one(): object } } };
}

export class EngineObject extends Base {
  readonly #state: State;
  static #made = 0;
  readonly #number = ++EngineObject.#made;

  constructor(state: State, env: Env) {
    super(state, env);
    this.#state = state;
  }

  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/test/state") {
      const engine = await this.engine();
      const turns = this.#state.storage.sql.exec("SELECT count(*) AS turns FROM turns").one();
      const longest = this.#state.storage.sql
        .exec("SELECT coalesce(max(length(bytes)), 0) AS row FROM pieces")
        .one();
      return Response.json({ number: this.#number, ...engine.stats(), ...turns, ...longest });
    }
    if (pathname === "/test/kill") this.#state.abort("killed by a test");
    // With its memory: as when the isolate goes, too.
    if (pathname === "/test/evict") {
      await (await this.engine()).dispose();
      this.#state.abort("evicted by a test");
    }
    return super.fetch(request);
  }
}

export default {
  fetch: (): Response => new Response(null, { status: 404 }),
};
