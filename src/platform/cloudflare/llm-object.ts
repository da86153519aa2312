/**
 * A Durable Object with a model, to be extended: its own methods have `this.llm`, its callers those of LlmService,
 * and front Workers find an engine object in it.
 */
import { DurableObject } from "cloudflare:workers";
import { createLlm, type Llm, type LlmOptions } from "../../server/llm.ts";
import { createEngineObject, type EngineObjectOptions } from "./engine-object.ts";
import { type LlmHost, withLlmMethods } from "./llm-methods.ts";
import type { LlmService } from "./llm-wire.ts";

export interface LlmObject {
  /** Of the script's isolate: all of its objects share one. Own fields are not seen over RPC. */
  readonly llm: Llm;
}

export type LlmObjectClass<Env> = new (
  // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of a state is not ours
  state: any,
  env: Env,
) => DurableObject<Env> & LlmObject & Omit<LlmService, "fetch">;

export interface LlmObjectOptions<Env>
  extends EngineObjectOptions<Env>,
    Pick<LlmOptions, "limits"> {}

/**
 * The class has to be one of SQLite's (`new_sqlite_classes`).
 *
 * @example
 * export class Room extends llmObject<Env>({ kernels: { relaxed, plain }, pack }) {
 *   async say(content: string): Promise<string> {
 *     return (await this.llm.generate({ messages: [{ role: "user", content }] })).text;
 *   }
 * }
 */
export function llmObject<Env>(options: LlmObjectOptions<Env>): LlmObjectClass<Env> {
  const Engines = createEngineObject<Env>(options);
  class Holder extends DurableObject<Env> implements LlmObject {
    readonly llm: Llm;
    readonly #engines: InstanceType<typeof Engines>;

    // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of a state is not ours
    constructor(state: any, env: Env) {
      super(state, env);
      this.#engines = new Engines(state, env);
      this.llm = createLlm({ limits: options.limits, engine: () => this.#engines.engine() });
    }

    override fetch(request: Request): Promise<Response> {
      return this.#engines.fetch(request);
    }

    static host({ llm, ctx }: Holder): LlmHost {
      return { llm, waitUntil: (promise) => ctx.waitUntil(promise) };
    }
  }
  return withLlmMethods(Holder, Holder.host);
}
