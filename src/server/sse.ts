/**
 * Server-sent events from an iterator, one chunk of the response body for each event.
 *
 * The body is pulled: nothing is asked of the iterator before the client's connection takes more,
 * and no platform collects events into larger writes.
 */
import type { AppContext, Ping } from "./context.ts";
import { toErrorReply } from "./errors.ts";

/** How events are spelled. */
export interface EventStyle {
  /** One event, with the empty line at its end. */
  frame(value: unknown): string;
  /** How a stream ends that fails after it began. */
  failure(error: unknown): string;
  /** Default: `data: [DONE]`. */
  readonly end?: string;
  /** What keeps a silent connection alive. Default: a comment. */
  readonly ping?: string;
  /** Default: that of server-sent events. */
  readonly contentType?: string;
}

export interface EventStreamOptions {
  /** Fired when the client is gone. */
  readonly abort: AbortController;
  readonly ping: Ping | undefined;
  /** Default: unnamed events, and one with the error's envelope at the end of what fails. */
  readonly style?: EventStyle;
  /** Called with an error that the client learned of in the middle of the stream. */
  onError(error: unknown): void;
}

const PING = Symbol("ping");

const COMMENT = ": ping\n\n";

export const DONE = "data: [DONE]\n\n";

/** Unnamed events. */
export const DATA_ONLY: EventStyle = {
  frame: (value) => `data: ${JSON.stringify(value)}\n\n`,
  failure: (error) => `data: ${JSON.stringify(toErrorReply(error).body)}\n\n`,
};

/**
 * Answers with the values as events, then `data: [DONE]`.
 *
 * Headers wait for the first value, so that a request that fails at once (a full queue, a prompt
 * that is too long) is answered with its status; but no longer than a ping's silence, after which
 * the connection needs a byte. A later failure is told as the style has it, and is the end.
 *
 * @throws what the iterator throws before its first value.
 */
export async function eventStream(
  c: AppContext,
  values: AsyncGenerator<unknown, void, undefined>,
  { abort, ping, style = DATA_ONLY, onError }: EventStreamOptions,
): Promise<Response> {
  const encoder = new TextEncoder();
  const next = (): Promise<IteratorResult<unknown, void>> => values.next();
  let pending: ReturnType<typeof next> | undefined = next();
  let cancelled = false;
  await orPing(pending, ping);
  const record = c.get("record");
  record.hold();

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const send = (text: string): void => controller.enqueue(encoder.encode(text));
        try {
          pending ??= next();
          const step = await orPing(pending, ping);
          if (step === PING) return send(style.ping ?? COMMENT);
          pending = undefined;
          if (!step.done) return send(style.frame(step.value));
          if (style.end !== "") send(style.end ?? DONE);
        } catch (error) {
          if (cancelled) return;
          send(style.failure(error));
          onError(error);
        }
        controller.close();
        record.end();
      },
      cancel() {
        cancelled = true;
        abort.abort();
        pending?.catch(() => {}); // it ends with "aborted", which nobody waits for any more
        values
          .return()
          .catch(() => {})
          .finally(() => record.end());
      },
    },
    { highWaterMark: 0 },
  );
  return c.body(body, 200, {
    "content-type": style.contentType ?? "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  });
}

/** The promise's value, or PING when it takes longer than the silence allowed. */
async function orPing<T>(promise: Promise<T>, ping: Ping | undefined): Promise<T | typeof PING> {
  if (ping === undefined) return promise;
  let cancel = (): void => {};
  const silence = new Promise<typeof PING>((resolve) => {
    cancel = ping.after(ping.everyMs, () => resolve(PING));
  });
  try {
    return await Promise.race([promise, silence]);
  } finally {
    cancel();
  }
}
