/** A Worker that others call by a service binding: RPC methods beside its HTTP API. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { createLlm, type LlmOptions } from "../../server/llm.ts";
import type { Worker } from "./create-worker.ts";
import { type LlmHost, withLlmMethods } from "./llm-methods.ts";
import type { LlmService } from "./llm-wire.ts";

/** A class for `export default`, or under a name that the binding has as its `entrypoint`. */
export type LlmServiceClass<Env> = new (
  // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of a context is not ours
  context: any,
  env: Env,
) => WorkerEntrypoint<Env> & Omit<LlmService, "fetch">;

/**
 * Only Workers with a binding reach the methods, so they need no key; `fetch` asks for one as ever.
 *
 * @param worker of createWorker() or createFrontWorker().
 * @example
 * export default llmService(createWorker<Env>({ kernels: { relaxed, plain }, pack }));
 */
export function llmService<Env>(
  worker: Worker<Env>,
  options: Pick<LlmOptions, "limits"> = {},
): LlmServiceClass<Env> {
  class Service extends WorkerEntrypoint<Env> {
    override fetch(request: Request): Response | Promise<Response> {
      return worker.fetch(request, this.env, this.ctx);
    }

    static host({ env, ctx }: Service): LlmHost {
      const llm = createLlm({ ...options, engine: () => worker.engine(env, ctx) });
      return { llm, waitUntil: (promise) => ctx.waitUntil(promise) };
    }
  }
  return withLlmMethods(Service, Service.host);
}
