/**
 * How a model's answers cross a service binding. Workers RPC passes values, byte streams and errors by
 * name and message, but neither async iterators nor an error's other fields nor AbortSignals.
 *
 * So a stream is one JSON value a line, and an error's code stands before its message: `[overloaded] …`.
 */
import { type ErrorCode, PronkError } from "../../errors.ts";
import type {
  Llm,
  LlmAnswer,
  LlmEmbedOptions,
  LlmInfo,
  LlmPart,
  LlmRequest,
} from "../../server/llm.ts";

/** A model behind a service binding: `env.LLM`. Errors are Error, `[code] message`; connectLlm() has PronkError. */
export interface LlmService {
  generate(request: LlmRequest): Promise<LlmAnswer>;
  /** One JSON value a line, LlmPart, or `{"error"}` at the end; cancelled, it stops the model within a token. */
  stream(request: LlmRequest): Promise<ReadableStream<Uint8Array>>;
  embed(texts: readonly string[], options?: LlmEmbedOptions): Promise<Float32Array[]>;
  tokenize(text: string, options?: { readonly special?: boolean }): Promise<number[]>;
  detokenize(ids: readonly number[]): Promise<string>;
  info(): Promise<LlmInfo>;
  /** The whole HTTP API; the host of the URL is not looked at. */
  fetch(request: Request | string | URL, init?: RequestInit): Promise<Response>;
}

type Line = LlmPart | { readonly error: string };

/** Every method runs `work` so: what it throws is what the other side can read. */
export async function spelled<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new Error(spell(error));
  }
}

/** @throws PronkError as it was thrown on the other side; "source_failed" where that one went away. */
export async function understood<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw understand((error as Error).message, error);
  }
}

/** What is not a PronkError is a bug: its message stays there. */
function spell(error: unknown): string {
  return error instanceof PronkError
    ? `[${error.code}] ${error.message}`
    : "[engine_failed] internal error";
}

function understand(message: string, cause?: unknown): PronkError {
  const [, code, rest] = /^\[([a-z_]+)\] ([\s\S]*)$/.exec(message) ?? [];
  if (code === undefined || rest === undefined) {
    return new PronkError("source_failed", `LLM: the service went away: ${message}`, { cause });
  }
  return new PronkError(code as ErrorCode, rest, { cause });
}

/**
 * Starts a stream, then writes it: settles when all of it was read, or nobody wants more.
 *
 * @returns once the first part is there, so that what fails at once fails the call.
 */
export async function writeParts(
  llm: Llm,
  request: LlmRequest,
  writable: WritableStream<Uint8Array>,
): Promise<{ readonly written: Promise<void> }> {
  const parts = llm.stream(request)[Symbol.asyncIterator]();
  const first = await parts.next();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  const write = (line: Line): Promise<void> =>
    writer.write(encoder.encode(`${JSON.stringify(line)}\n`));
  const all = async (): Promise<void> => {
    try {
      for (let part = first; !part.done; part = await parts.next()) await write(part.value);
    } catch (error) {
      // Of the model: it is told. Of the writer: nobody reads, and this fails as well.
      await write({ error: spell(error) });
    }
    await writer.close();
  };
  return {
    written: all()
      .catch(() => undefined)
      .finally(() => parts.return?.()),
  };
}

/** @throws PronkError as understood(), "aborted"; stops the other side when it is left early. */
export async function* readParts(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<LlmPart, void, undefined> {
  const reader = stream.getReader();
  const leave = (): void => void reader.cancel().catch(() => undefined);
  signal?.addEventListener("abort", leave, { once: true });
  const decoder = new TextDecoder();
  let text = "";
  let isWhole = false;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: Error) => {
        throw understand(error.message, error);
      });
      checkSignal(signal);
      if (done) break;
      const lines = (text + decoder.decode(value, { stream: true })).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const part = parseLine(line);
        if ("error" in part) throw understand(part.error);
        isWhole = part.answer !== undefined;
        yield part;
      }
    }
    if (!isWhole) throw understand("its stream has no end");
  } finally {
    signal?.removeEventListener("abort", leave);
    leave();
  }
}

function parseLine(line: string): Line {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Line;
  } catch {
    // It is told as what is no object is.
  }
  throw understand("its stream has a line that is none of ours");
}

/** @throws PronkError "aborted" when it has fired. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new PronkError("aborted", "LLM: the caller's signal fired", { cause: signal.reason });
}
