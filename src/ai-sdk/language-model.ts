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
  const { chat, body, warnings, failed, release } = await begin(modelId, server, options);
  const answer = await chat.whole().catch(failed).finally(release);
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
  const { chat, body, warnings, failed, abort, release } = await begin(modelId, server, options);
  const events = chat.events();
  // What fails at once fails the call, which the SDK may then try again, and no stream.
  const first = await events.next().catch((error) => {
    release();
    return failed(error);
  });
  const rest = async function* () {
    try {
      if (!first.done) yield first.value;
      yield* events;
    } finally {
      release();
    }
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
        release(); // the parts' own way to it is not taken where none was read
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
  /** Takes back what ties the answer to its signal, which may be that of many. */
  release(): void;
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
  const leave = (): void => abort.abort(abortSignal?.reason);
  const release = (): void => abortSignal?.removeEventListener("abort", leave);
  abortSignal?.addEventListener("abort", leave, { once: true });
  try {
    const chat = await runChat(body, server, abort);
    return { chat, abort, body, warnings, failed, release };
  } catch (error) {
    release();
    return failed(error);
  }
}
