/** A LanguageModelV3 over an engine. */
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3GenerateResult,
  LanguageModelV3StreamPart,
  LanguageModelV3StreamResult,
} from "@ai-sdk/provider";
import { type ChatServer, type RunningChat, runChat } from "../server/chat-run.ts";
import { contentOf, finishReasonOf, metadataOf, usageOf } from "./answer.ts";
import { toSdkError } from "./errors.ts";
import { type RequestBody, requestBody } from "./request-body.ts";
import { streamParts } from "./stream-parts.ts";

/** @param modelId the engine's model, or one of its adapters. */
export function languageModel(
  provider: string,
  modelId: string,
  server: ChatServer,
): LanguageModelV3 {
  return {
    specificationVersion: "v3",
    provider,
    modelId,
    supportedUrls: {},
    doGenerate: (options) => generate(modelId, server, options),
    doStream: (options) => stream(modelId, server, options),
  };
}

async function generate(
  modelId: string,
  server: ChatServer,
  options: LanguageModelV3CallOptions,
): Promise<LanguageModelV3GenerateResult> {
  const { chat, body, warnings, failed } = await begin(modelId, server, options);
  const answer = await chat.whole().catch(failed);
  const { head } = chat;
  return {
    content: contentOf(answer),
    finishReason: finishReasonOf(answer.finish_reason),
    usage: usageOf(answer.usage),
    providerMetadata: metadataOf(
      answer,
      head,
      chat.job.logprobs === undefined ? undefined : answer.logprobs,
    ),
    warnings: [...warnings],
    request: { body },
    response: { id: head.id, timestamp: new Date(head.created * 1000), modelId: head.model },
  };
}

async function stream(
  modelId: string,
  server: ChatServer,
  options: LanguageModelV3CallOptions,
): Promise<LanguageModelV3StreamResult> {
  const { chat, body, warnings, failed, abort } = await begin(modelId, server, options);
  const events = chat.events();
  // What fails at once fails the call, which the SDK may then try again, and no stream.
  const first = await events.next().catch(failed);
  const rest = async function* () {
    if (!first.done) yield first.value;
    yield* events;
  };
  const parts = streamParts(rest(), {
    head: chat.head,
    warnings,
    withLogprobs: chat.job.logprobs !== undefined,
    withRaw: options.includeRawChunks === true,
  });
  const readable = new ReadableStream<LanguageModelV3StreamPart>(
    {
      async pull(controller) {
        try {
          const { done, value } = await parts.next();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          const reason = toSdkError(error, options.abortSignal);
          if (options.abortSignal?.aborted) return controller.error(reason);
          controller.enqueue({ type: "error", error: reason });
          controller.enqueue(FAILED);
          controller.close();
        }
      },
      async cancel() {
        abort.abort();
        await parts.return();
      },
    },
    { highWaterMark: 0 },
  );
  return { stream: readable, request: { body } };
}

const FAILED: LanguageModelV3StreamPart = {
  type: "finish",
  finishReason: { unified: "error", raw: undefined },
  usage: {
    inputTokens: {
      total: undefined,
      noCache: undefined,
      cacheRead: undefined,
      cacheWrite: undefined,
    },
    outputTokens: { total: undefined, text: undefined, reasoning: undefined },
  },
};

interface Begun extends RequestBody {
  readonly chat: RunningChat;
  readonly abort: AbortController;
  /** Throws an error as the SDK has it. */
  failed(error: unknown): never;
}

async function begin(
  modelId: string,
  server: ChatServer,
  options: LanguageModelV3CallOptions,
): Promise<Begun> {
  const { abortSignal } = options;
  abortSignal?.throwIfAborted();
  const failed = (error: unknown): never => {
    throw toSdkError(error, abortSignal);
  };
  const { body, warnings } = requestBody(modelId, options);
  const abort = new AbortController();
  abortSignal?.addEventListener("abort", () => abort.abort(abortSignal.reason), { once: true });
  const chat = await runChat(body, server, abort).catch(failed);
  return { chat, abort, body, warnings, failed };
}
