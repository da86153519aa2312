/** A Worker that others call by a service binding: RPC methods beside its HTTP API. */
import { WorkerEntrypoint } from "cloudflare:workers";
import {
  createLlm,
  type Llm,
  type LlmAnswer,
  type LlmEmbedOptions,
  type LlmInfo,
  type LlmOptions,
  type LlmRequest,
} from "../../server/llm.ts";
import type { Worker } from "./create-worker.ts";
import { type LlmService, spelled, writeParts } from "./llm-wire.ts";

/** workerd's pipe of bytes: unlike TransformStream it tells the writing side when the reading one is gone. */
declare class IdentityTransformStream extends TransformStream<Uint8Array, Uint8Array> {}

/** A class for `export default`, or under a name that the binding has as its `entrypoint`. */
export type LlmServiceClass<Env> = new (
  // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of a context is not ours
  context: any,
  env: Env,
) => WorkerEntrypoint<Env> & Omit<LlmService, "fetch">;

/**
 * Only Workers with a binding reach the methods, so they need no key; `fetch` asks for one as ever.
 *
 * @param worker of createWorker().
 * @example
 * export default llmService(createWorker<Env>({ kernels: { relaxed, plain }, pack }));
 */
export function llmService<Env>(
  worker: Worker<Env>,
  options: Pick<LlmOptions, "limits"> = {},
): LlmServiceClass<Env> {
  return class Service extends WorkerEntrypoint<Env> {
    override fetch(request: Request): Response | Promise<Response> {
      return worker.fetch(request, this.env, this.ctx);
    }

    generate(request: LlmRequest): Promise<LlmAnswer> {
      return spelled(() => this.#llm().generate(request));
    }

    async stream(request: LlmRequest): Promise<ReadableStream<Uint8Array>> {
      const { readable, writable } = new IdentityTransformStream();
      const { written } = await spelled(() => writeParts(this.#llm(), request, writable));
      // The call is over when the stream is returned; the model still runs.
      this.ctx.waitUntil(written);
      return readable;
    }

    embed(texts: readonly string[], options?: LlmEmbedOptions): Promise<Float32Array[]> {
      return spelled(() => this.#llm().embed(texts, options));
    }

    tokenize(text: string, options?: { readonly special?: boolean }): Promise<number[]> {
      return spelled(() => this.#llm().tokenize(text, options));
    }

    detokenize(ids: readonly number[]): Promise<string> {
      return spelled(() => this.#llm().detokenize(ids));
    }

    info(): Promise<LlmInfo> {
      return spelled(() => this.#llm().info());
    }

    #llm(): Llm {
      return createLlm({ ...options, engine: () => worker.engine(this.env, this.ctx) });
    }
  };
}
