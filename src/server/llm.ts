/**
 * The model without HTTP: the requests of the chat route as a function's argument, its answers as values.
 * The same in process and behind a service binding, so that code does not say where the model is.
 */
import type { EmbedOptions } from "../engine/embed.ts";
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import { selectModel } from "./adapters.ts";
import type { ChatEnd, ChatServer, TokenEntry, ToolCall, ToolCallDelta } from "./chat-run.ts";
import { type RunningChat, runChat, runPrompt } from "./chat-run.ts";
import type { Limits } from "./context.ts";
import { continuedCall } from "./continued-call.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { ChatRequest, RequestMessage } from "./schemas/chat.ts";
import { inputIds } from "./text-inputs.ts";

/** Fields of /v1/chat/completions that say how the answer is sent, or that are without effect. */
type HttpFields =
  | "model"
  | "messages"
  | "n"
  | "stream"
  | "stream_options"
  | "resume"
  | "max_time"
  | "return_token_ids"
  | "user"
  | "safety_identifier"
  | "prompt_cache_key"
  | "service_tier"
  | "store"
  | "metadata";

/** What is asked: messages, or a prompt that is used as it stands; everything else as of /v1/chat/completions. */
export type LlmRequest = Omit<ChatRequest, HttpFields> & {
  /** An adapter's name. Default: the model. */
  model?: string;
} & ({ messages: RequestMessage[]; prompt?: undefined } | { prompt: string; messages?: undefined });

export interface LlmAnswer extends ChatEnd {
  /** "" where there is none. */
  readonly text: string;
  readonly tool_calls: readonly ToolCall[];
  /** Of every token, where they were asked for. */
  readonly logprobs?: readonly TokenEntry[];
  readonly model: string;
  /** Same fingerprint, same request, same seed: same answer. */
  readonly system_fingerprint: string;
}

/** What came next. The last part has no text, and all of the answer. */
export interface LlmPart {
  readonly text: string;
  readonly tool_calls?: readonly ToolCallDelta[];
  readonly logprobs?: readonly TokenEntry[];
  readonly answer?: LlmAnswer;
}

export interface LlmEmbedOptions
  extends Pick<EmbedOptions, "pooling" | "normalize" | "dimensions"> {
  /** An adapter's name. Default: the model. */
  readonly model?: string;
}

export interface LlmInfo {
  readonly model: string;
  /** Tokens of prompt and answer together. */
  readonly ctx: number;
  readonly vocab: number;
  /** Names of the adapters that a request may name as its model. */
  readonly adapters: readonly string[];
  readonly system_fingerprint: string;
}

interface Cancel {
  readonly signal?: AbortSignal;
}

/** Every method throws PronkError, with the messages and bounds of the HTTP API. */
export interface Llm {
  generate(request: LlmRequest, options?: Cancel): Promise<LlmAnswer>;
  /** Left early, or aborted, it stops the model within a token. */
  stream(request: LlmRequest, options?: Cancel): AsyncIterable<LlmPart>;
  /** One vector a text, in their order; of `pooling: "none"` those of all its tokens, one behind the other. */
  embed(texts: readonly string[], options?: LlmEmbedOptions & Cancel): Promise<Float32Array[]>;
  /** Special tokens that the text spells out are those tokens. @param options.special BOS and the like, default true. */
  tokenize(text: string, options?: { readonly special?: boolean }): Promise<number[]>;
  detokenize(ids: readonly number[]): Promise<string>;
  info(): Promise<LlmInfo>;
}

export interface LlmOptions {
  /** The engine, or how to get it: called for every request, so that it should keep what it made. */
  readonly engine: Engine | (() => Promise<Engine> | Engine);
  /** Merged over the server's defaults. */
  readonly limits?: Partial<Limits>;
}

/** The model of an engine in this process. */
export function createLlm({ engine: given, limits: own }: LlmOptions): Llm {
  const limits: Limits = { ...DEFAULT_LIMITS, ...own };
  const engineOf = async (): Promise<Engine> => (typeof given === "function" ? given() : given);
  const server: ChatServer = {
    engine: engineOf,
    limits,
    clock: { now: () => performance.now(), wall: () => Date.now() },
    randomId: () => crypto.randomUUID().replaceAll("-", ""),
  };
  const stream = (request: LlmRequest, { signal }: Cancel = {}): AsyncGenerator<LlmPart> =>
    run(request, server, signal);
  return {
    stream,
    async generate(request, options) {
      let answer: LlmAnswer | undefined;
      for await (const part of stream(request, options)) answer = part.answer;
      if (answer !== undefined) return answer;
      throw new PronkError("engine_failed", "generate: the answer has no end");
    },
    async embed(texts, { model, signal, ...options } = {}) {
      signal?.throwIfAborted();
      const engine = await engineOf();
      const { adapters } = selectModel(engine, model ?? engine.info.id, undefined);
      if (!Array.isArray(texts)) {
        throw new PronkError("bad_request", "texts: expected a list", { param: "texts" });
      }
      const { tokenizer, info } = engine;
      const inputs = texts.map((text, i) =>
        inputIds(text, tokenizer, info.vocab, `texts[${i}]`, false),
      );
      return engine.embed(inputs, { ...options, adapters, ...(signal && { signal }) });
    },
    async tokenize(text, { special: addSpecialTokens = true } = {}) {
      const { tokenizer } = await engineOf();
      if (typeof text !== "string") {
        throw new PronkError("bad_request", "text: expected a string", { param: "text" });
      }
      return tokenizer.encode(text, { addSpecialTokens, parseSpecial: true });
    },
    async detokenize(ids) {
      const { tokenizer } = await engineOf();
      const isKnown = (id: number): boolean =>
        Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize;
      const wrong = ids.findIndex((id) => !isKnown(id));
      if (wrong === -1) return tokenizer.decode(ids);
      const why = `${ids[wrong]} is no id below ${tokenizer.vocabSize}`;
      throw new PronkError("bad_request", `ids[${wrong}]: ${why}`, { param: "ids" });
    },
    async info() {
      const { info, adapters } = await engineOf();
      const { id: model, ctx, vocab, fingerprint: system_fingerprint } = info;
      return { model, ctx, vocab, adapters: adapters.map(({ name }) => name), system_fingerprint };
    },
  };
}

async function* run(
  request: LlmRequest,
  server: ChatServer,
  signal: AbortSignal | undefined,
): AsyncGenerator<LlmPart, void, undefined> {
  const abort = new AbortController();
  const leave = (): void => abort.abort(signal?.reason);
  if (signal?.aborted) leave();
  signal?.addEventListener("abort", leave, { once: true });
  try {
    yield* parts(await begin(request, server, abort));
  } finally {
    signal?.removeEventListener("abort", leave);
  }
}

async function begin(
  request: LlmRequest,
  server: ChatServer,
  abort: AbortController,
): Promise<RunningChat> {
  abort.signal.throwIfAborted();
  const engine = await server.engine();
  const known = { ...server, engine: () => engine };
  const { prompt, ...fields } = request;
  const body = { ...fields, model: request.model ?? engine.info.id };
  if (prompt === undefined) return runChat(body, known, abort);
  if (typeof prompt !== "string" || request.messages !== undefined) {
    const message = "prompt: expected a text, or messages, not both";
    throw new PronkError("bad_request", message, { param: "prompt" });
  }
  return runPrompt(prompt, body, known, abort);
}

async function* parts({ head, job, events }: RunningChat): AsyncGenerator<LlmPart> {
  let text = "";
  const calls: ToolCall[] = [];
  const logprobs: TokenEntry[] = [];
  for await (const event of events()) {
    if ("end" in event) {
      const { model, system_fingerprint } = head;
      const listed = job.logprobs === undefined ? {} : { logprobs };
      const answer = {
        text,
        tool_calls: calls,
        ...event.end,
        ...listed,
        model,
        system_fingerprint,
      };
      yield { text: "", answer };
      return;
    }
    text += event.content;
    logprobs.push(...event.logprobs);
    for (const delta of event.toolCalls)
      calls[delta.index] = continuedCall(calls[delta.index], delta);
    yield {
      text: event.content,
      ...(event.toolCalls.length > 0 && { tool_calls: event.toolCalls }),
      ...(event.logprobs.length > 0 && { logprobs: event.logprobs }),
    };
  }
}
