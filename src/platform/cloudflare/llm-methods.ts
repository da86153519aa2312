/** The methods of LlmService, for classes that others call over RPC. */
import type { Llm, LlmAnswer, LlmEmbedOptions, LlmInfo, LlmRequest } from "../../server/llm.ts";
import { type LlmService, spelled, writeParts } from "./llm-wire.ts";

/** workerd's pipe of bytes: unlike TransformStream it tells the writing side when the reading one is gone. */
declare class IdentityTransformStream extends TransformStream<Uint8Array, Uint8Array> {}

/** What is needed of a class beside its model. */
export interface LlmHost {
  readonly llm: Llm;
  /** Work that goes on when a call has returned. */
  waitUntil(promise: Promise<unknown>): void;
}

// biome-ignore lint/suspicious/noExplicitAny: what a mixin's constructor has to be
type Constructor = new (...args: any[]) => object;

/** @param hostOf asked by every call, for the object that it came to. */
export function withLlmMethods<Base extends Constructor>(
  base: Base,
  hostOf: (self: InstanceType<Base>) => LlmHost,
): new (
  ...args: ConstructorParameters<Base>
) => InstanceType<Base> & Omit<LlmService, "fetch"> {
  class Answering extends base implements Omit<LlmService, "fetch"> {
    generate(request: LlmRequest): Promise<LlmAnswer> {
      return spelled(() => this.#host().llm.generate(request));
    }

    async stream(request: LlmRequest): Promise<ReadableStream<Uint8Array>> {
      const { llm, waitUntil } = this.#host();
      const { readable, writable } = new IdentityTransformStream();
      const { written } = await spelled(() => writeParts(llm, request, writable));
      // The call is over when the stream is returned; the model still runs.
      waitUntil(written);
      return readable;
    }

    embed(texts: readonly string[], options?: LlmEmbedOptions): Promise<Float32Array[]> {
      return spelled(() => this.#host().llm.embed(texts, options));
    }

    tokenize(text: string, options?: { readonly special?: boolean }): Promise<number[]> {
      return spelled(() => this.#host().llm.tokenize(text, options));
    }

    detokenize(ids: readonly number[]): Promise<string> {
      return spelled(() => this.#host().llm.detokenize(ids));
    }

    info(): Promise<LlmInfo> {
      return spelled(() => this.#host().llm.info());
    }

    #host(): LlmHost {
      return hostOf(this as unknown as InstanceType<Base>);
    }
  }
  return Answering as never;
}
