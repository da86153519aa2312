/**
 * A chat as it runs, for APIs that are put on top of the chat route: they write its request's body and read
 * its answer, so that whatever it learns they can do, too. One choice.
 */
import type { Engine } from "../engine/engine.ts";
import { answerHead, runJob } from "./answer.ts";
import { chatJob, promptJob } from "./chat-job.ts";
import type { ServerContext } from "./context.ts";
import type { AnswerHead, Job } from "./job.ts";
import { streamedAnswer } from "./streamed-answer.ts";
import type { Usage, WireTimings } from "./usage.ts";
import { wholeAnswer } from "./whole-answer.ts";

/** What a chat needs of a server, or of who runs it without one. */
export type ChatServer = Pick<ServerContext, "limits" | "clock" | "randomId"> & {
  engine(): Promise<Engine> | Engine;
};

export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` is JSON. */
  readonly function: { readonly name: string; readonly arguments: string };
}

/** One token of the `content` or `refusal` of log-probabilities, as OpenAI has it. */
export interface TokenEntry {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly Omit<TokenEntry, "top_logprobs">[];
}

export interface ChatEnd {
  /** `stop`, `length` or `tool_calls`. */
  readonly finish_reason: string;
  /** The stop text that was found. */
  readonly stop_reason?: string | null;
  readonly usage: Usage;
  readonly timings: WireTimings;
}

export interface ChatAnswer extends ChatEnd {
  /** "" when there is none. */
  readonly content: string;
  readonly toolCalls: readonly ToolCall[];
  readonly logprobs: readonly TokenEntry[];
}

/** A piece of a tool call: the first of its index has its id and name. */
export interface ToolCallDelta {
  readonly index: number;
  readonly id?: string;
  readonly function?: { readonly name?: string; readonly arguments?: string };
}

/** What a chunk brings, or the end. */
export type ChatEvent =
  | {
      readonly content: string;
      readonly toolCalls: readonly ToolCallDelta[];
      readonly logprobs: readonly TokenEntry[];
    }
  | { readonly end: ChatEnd };

/** Nothing runs before one of the two is asked for. */
export interface RunningChat {
  readonly head: AnswerHead;
  readonly job: Job;
  whole(): Promise<ChatAnswer>;
  events(): AsyncGenerator<ChatEvent, void, undefined>;
}

/**
 * @param body as that of /v1/chat/completions; `n` and `stream` are not its affair.
 * @param abort fires when nobody wants the answer any more; also fired here when it is not read to its end.
 * @throws what chatJob throws.
 */
export async function runChat(
  body: Readonly<Record<string, unknown>>,
  server: ChatServer,
  abort: AbortController,
): Promise<RunningChat> {
  const job = await chatJob(askedOf(body), () => server.engine(), server.limits);
  return running(job, server, abort);
}

/** The same for a prompt that is used raw. @throws what promptJob throws. */
export async function runPrompt(
  prompt: string,
  body: Readonly<Record<string, unknown>>,
  server: ChatServer,
  abort: AbortController,
): Promise<RunningChat> {
  const job = await promptJob(prompt, askedOf(body), () => server.engine(), server.limits);
  return running(job, server, abort);
}

const askedOf = (body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  ...body,
  n: 1,
  stream: false,
  stream_options: { include_usage: true },
});

function running(job: Job, server: ChatServer, abort: AbortController): RunningChat {
  const head = answerHead(job, server);
  return {
    head,
    job,
    async whole() {
      const { choices, usage, timings } = await wholeAnswer(job, head, runJob(job, abort));
      const { message, logprobs, finish_reason, stop_reason } = choices[0] as unknown as Choice;
      return {
        content: message.content ?? "",
        toolCalls: message.tool_calls ?? [],
        logprobs: logprobs?.content ?? [],
        finish_reason,
        stop_reason: stop_reason ?? null,
        usage,
        timings,
      };
    },
    events: () => chatEvents(streamedAnswer(job, head, runJob(job, abort))),
  };
}

interface Choice {
  readonly message: { readonly content: string | null; readonly tool_calls?: readonly ToolCall[] };
  readonly logprobs: { readonly content: readonly TokenEntry[] } | null;
  readonly finish_reason: string;
  readonly stop_reason?: string | null;
}

interface Chunk {
  readonly choices: readonly {
    readonly delta: {
      readonly content?: string | null;
      readonly tool_calls?: readonly ToolCallDelta[];
    };
    readonly logprobs: Choice["logprobs"];
    readonly finish_reason: string | null;
    readonly stop_reason?: string | null;
  }[];
  readonly usage: Usage | null;
  readonly timings?: WireTimings;
}

/** The finish reason, the timings and the usage come in chunks of their own: they are one event here. */
async function* chatEvents(
  chunks: AsyncIterable<Record<string, unknown>>,
): AsyncGenerator<ChatEvent, void, undefined> {
  let finish: Omit<ChatEnd, "usage"> | undefined;
  for await (const chunk of chunks as AsyncIterable<unknown> as AsyncIterable<Chunk>) {
    const [choice] = chunk.choices;
    if (choice !== undefined) {
      const { delta, logprobs, finish_reason, stop_reason } = choice;
      const entries = logprobs?.content ?? [];
      const toolCalls = delta.tool_calls ?? [];
      if (delta.content || toolCalls.length > 0 || entries.length > 0) {
        yield { content: delta.content ?? "", toolCalls, logprobs: entries };
      }
      if (finish_reason !== null && chunk.timings !== undefined) {
        finish = { finish_reason, stop_reason: stop_reason ?? null, timings: chunk.timings };
      }
    }
    if (chunk.usage && finish) yield { end: { ...finish, usage: chunk.usage } };
  }
}
