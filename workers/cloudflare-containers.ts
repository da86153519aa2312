/**
 * The Worker in front of Cloudflare Containers, as deploy/cloudflare-containers/wrangler.toml deploys it: the
 * front's Hono app, and the Durable Object that starts containers of the image.
 * Outside this repository the imports are "pronk/server" and "pronk/cloudflare".
 */
import {
  type ContainerNamespaceLike,
  ContainerObject,
  containerFetch,
} from "../src/platform/cloudflare/container-object.ts";
import { createFront } from "../src/server/app.ts";

interface Env {
  readonly ENGINES: ContainerNamespaceLike;
  /** As many as `max_instances`. */
  readonly ENGINE_COUNT: number;
  /** A secret, for the containers: API keys, as `pronk serve` takes them. */
  readonly PRONK_API_KEYS?: string;
}

export class EngineContainer extends ContainerObject {
  readonly #env: Env;

  constructor(state: ConstructorParameters<typeof ContainerObject>[0], env: Env) {
    super(state);
    this.#env = env;
  }

  protected override variables(): Readonly<Record<string, string>> {
    const { PRONK_API_KEYS } = this.#env;
    return PRONK_API_KEYS === undefined ? {} : { PRONK_API_KEYS };
  }
}

let front: ReturnType<typeof createFront> | undefined;

const worker: { fetch(request: Request, env: Env): Response | Promise<Response> } = {
  fetch(request, env) {
    front ??= createFront({
      upstream: "http://engines",
      fetch: containerFetch(env.ENGINES, Number(env.ENGINE_COUNT)),
    });
    return front.fetch(request, env);
  },
};

export default worker;
