/** The calling side of a service binding: what a model in this process would be. */
import { PronkError } from "../../errors.ts";
import type { Llm, LlmAnswer, LlmPart, LlmRequest } from "../../server/llm.ts";
import { checkSignal, type LlmService, readParts, understood } from "./llm-wire.ts";

/**
 * @param service a binding to a Worker of llmService().
 * @example
 * const llm = connectLlm(env.LLM);
 * for await (const { text } of llm.stream({ prompt: "Once" })) write(text);
 */
export function connectLlm(service: LlmService): Llm {
  const stream = (
    request: LlmRequest,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LlmPart> => streamed(service, request, signal);
  return {
    stream,
    // By the stream, which can be cancelled: a call cannot.
    async generate(request, options) {
      let answer: LlmAnswer | undefined;
      for await (const part of stream(request, options)) answer = part.answer;
      if (answer !== undefined) return answer;
      throw new PronkError("source_failed", "LLM: the stream has no end");
    },
    embed: (texts, { signal, ...options } = {}) =>
      understood(async () => {
        checkSignal(signal);
        return service.embed(texts, options);
      }),
    tokenize: (text, options) => understood(async () => service.tokenize(text, options)),
    detokenize: (ids) => understood(async () => service.detokenize(ids)),
    info: () => understood(async () => service.info()),
  };
}

async function* streamed(
  service: LlmService,
  request: LlmRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<LlmPart, void, undefined> {
  checkSignal(signal);
  yield* readParts(await understood(async () => service.stream(request)), signal);
}
