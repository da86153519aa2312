/**
 * How the streams of each API are cut into events, how a whole one ends, and how one is ended that fails:
 * what a front has to know to tell a client that the engine is gone.
 */
import { errorOf } from "../anthropic/answer.ts";
import { toErrorReply } from "../errors.ts";
import { DATA_ONLY, DONE } from "../sse.ts";

export interface StreamForm {
  /** Line feeds between events. */
  readonly feeds: 1 | 2;
  /** Whether nothing is to come after this event. */
  isLast(event: string): boolean;
  /** @param last the last event that the client got, or "". */
  failure(error: unknown, last: string): string;
}

/** JSON has no bare line feed, so that no text of an answer looks like these. */
const LAST_EVENT = /^(?:data: \[DONE\]|data: \{"error":|event: (?:error|message_stop)$)/m;

const EVENTS: StreamForm = {
  feeds: 2,
  isLast: (event) => LAST_EVENT.test(event),
  failure: (error) => DATA_ONLY.failure(error),
};

const MESSAGES: StreamForm = {
  ...EVENTS,
  failure: (error) => named("error", errorOf(toErrorReply(error))),
};

/** Numbered on from the last; `response.failed` would need the whole response. */
const RESPONSES: StreamForm = {
  ...EVENTS,
  failure(error, last) {
    const { message, code, param } = toErrorReply(error).body.error;
    const before = /"sequence_number":(\d{1,9})/.exec(last)?.[1];
    const sequence_number = before === undefined ? 0 : Number(before) + 1;
    return named("error", { type: "error", code, message, param, sequence_number }) + DONE;
  },
};

const LINES: StreamForm = {
  feeds: 1,
  // Quotes within a text have a backslash in front.
  isLast: (line) => line.includes('"done":true') || line.startsWith('{"error":'),
  failure: (error) => `${JSON.stringify({ error: toErrorReply(error).body.error.message })}\n`,
};

/** undefined for an answer that is no stream. */
export function streamForm(path: string, contentType: string | null): StreamForm | undefined {
  if (contentType?.startsWith("application/x-ndjson")) return LINES;
  if (!contentType?.startsWith("text/event-stream")) return undefined;
  if (path.endsWith("/v1/messages")) return MESSAGES;
  return path.endsWith("/v1/responses") ? RESPONSES : EVENTS;
}

function named(event: string, value: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(value)}\n\n`;
}
