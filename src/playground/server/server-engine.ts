/** The engine behind the server that the page came from, by its HTTP API. */
import { PronkError } from "../../errors.ts";
import { AttentionMaskVisualizer } from "../../llama/attention-mask-visualizer.ts";
import type { TokenEntry, ToolCall, ToolCallDelta } from "../../server/chat-run.ts";
import { continuedCall } from "../../server/continued-call.ts";
import type { EngineFacts, LlmAnswer, LlmPart, PlaygroundEngine, TokenPiece } from "../engine.ts";
import { readEvents } from "./read-events.ts";
import { wireError } from "./wire-error.ts";

export interface ServerAccess {
  /** The API key; "" where there is none. */
  key(): string;
  /** Called when the server wants a key, or another one. */
  onRefused(): void;
}

/** @param base of the API, with a slash at its end: the page's own folder. */
export function openServerEngine(base: URL, access: ServerAccess): PlaygroundEngine {
  const ask = async (path: string, body?: unknown, signal?: AbortSignal): Promise<Response> => {
    const key = access.key();
    const headers: Record<string, string> = {};
    if (key !== "") headers.authorization = `Bearer ${key}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    let answer: Response;
    try {
      answer = await fetch(new URL(path, base), {
        method: body === undefined ? "GET" : "POST",
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
      });
    } catch (cause) {
      if (signal?.aborted) throw new PronkError("aborted", "aborted", { cause });
      throw new PronkError("source_failed", `${base.host}: the server cannot be reached`, {
        cause,
        retryAfterMs: 0,
      });
    }
    if (answer.ok) return answer;
    if (answer.status === 401) access.onRefused();
    throw await wireError(answer);
  };
  let model: string | undefined;
  const tokenize = async (text: string, isWhole = true): Promise<TokenPiece[]> => {
    const body = { prompt: text, add_special_tokens: isWhole, return_pieces: true };
    return (await (await ask("tokenize", body)).json()).pieces;
  };
  return {
    kind: "server",
    async facts(): Promise<EngineFacts> {
      const { data } = (await (await ask("v1/models")).json()) as { data: WireModel[] };
      const found = data.find(({ parent }) => parent === null) ?? data[0];
      if (found === undefined) throw new PronkError("not_found", "the key may use no model");
      model = found.id;
      return {
        model: found.id,
        adapters: data.filter(({ id }) => id !== model).map(({ id }) => id),
        ctx: found.context_length,
        backend: found.backend,
        backendReason: found.backend_reason,
        kernel: found.kernel,
        kernelReason: found.kernel_reason,
        threads: found.threads,
        threadsReason: found.threads_reason,
        ...(found.memory && { memory: found.memory }),
        place: base.host,
      };
    },
    async *chat(request, signal): AsyncGenerator<LlmPart> {
      const named = request.model ?? model ?? (await this.facts()).model;
      const stream = { stream: true, stream_options: { include_usage: true } };
      const answer = await ask(
        "v1/chat/completions",
        { ...request, model: named, ...stream },
        signal,
      );
      yield* partsOf(answer, signal);
    },
    tokenize,
    async attentionMask(text) {
      const pieces = await tokenize(text, false);
      const spelled = new Map(pieces.map(({ id, text }) => [id, text]));
      const tokenizer = {
        encode: () => pieces.map(({ id }) => id),
        tokenText: (id: number) => spelled.get(id) ?? "",
      };
      return new AttentionMaskVisualizer({ tokenizer, name: model ?? "" }).grid(text);
    },
    async dispose() {},
  };
}

interface WireModel {
  readonly id: string;
  readonly parent: string | null;
  readonly context_length: number;
  readonly backend: string;
  readonly backend_reason?: string;
  readonly kernel: string;
  readonly kernel_reason?: string;
  readonly threads?: number;
  readonly threads_reason?: string;
  readonly memory?: NonNullable<EngineFacts["memory"]>;
}

interface WireChunk {
  readonly model: string;
  readonly system_fingerprint: string;
  readonly choices: readonly {
    readonly delta: {
      readonly content?: string | null;
      readonly tool_calls?: readonly ToolCallDelta[];
    };
    readonly logprobs?: { readonly content?: readonly TokenEntry[] | null } | null;
    readonly finish_reason: string | null;
    readonly stop_reason?: string | null;
  }[];
  readonly usage?: LlmAnswer["usage"] | null;
  readonly timings?: LlmAnswer["timings"];
}

/** What a proxy put into the stream is no chunk. */
function chunkOf(data: unknown): WireChunk {
  const { choices } = (data ?? {}) as Partial<WireChunk>;
  if (
    Array.isArray(choices) &&
    choices.every((one) => typeof one?.delta === "object" && one.delta !== null)
  ) {
    return data as WireChunk;
  }
  throw new PronkError("source_failed", "an answer that is none of this API's");
}

/** The chunks of a stream as parts; the last has what they came to. */
async function* partsOf(answer: Response, signal: AbortSignal): AsyncGenerator<LlmPart> {
  let text = "";
  const tool_calls: ToolCall[] = [];
  const logprobs: TokenEntry[] = [];
  let end: Partial<LlmAnswer> = {};
  for await (const data of readEvents(answer, signal)) {
    const chunk = chunkOf(data);
    const { model, system_fingerprint, usage, timings } = chunk;
    end = {
      ...end,
      model,
      system_fingerprint,
      ...(usage && { usage }),
      ...(timings && { timings }),
    };
    const [choice] = chunk.choices;
    if (choice === undefined) continue;
    const { delta, finish_reason, stop_reason } = choice;
    if (finish_reason !== null) end = { ...end, finish_reason, stop_reason: stop_reason ?? null };
    const more = choice.logprobs?.content ?? [];
    const calls = delta.tool_calls ?? [];
    text += delta.content ?? "";
    logprobs.push(...more);
    for (const call of calls) tool_calls[call.index] = continuedCall(tool_calls[call.index], call);
    if (!delta.content && calls.length === 0 && more.length === 0) continue;
    yield {
      text: delta.content ?? "",
      ...(calls.length > 0 && { tool_calls: calls }),
      ...(more.length > 0 && { logprobs: more }),
    };
  }
  if (end.finish_reason === undefined || end.usage === undefined || end.timings === undefined) {
    throw new PronkError("source_failed", "the connection ended before the answer did", {
      retryAfterMs: 0,
    });
  }
  const listed = logprobs.length > 0 && { logprobs };
  yield { text: "", answer: { ...end, text, tool_calls, ...listed } as LlmAnswer };
}
