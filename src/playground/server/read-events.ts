/** Server-sent events of a POST's answer, which EventSource cannot ask for. */
import { PronkError } from "../../errors.ts";
import { EventData } from "./event-data.ts";
import { codeOfWire } from "./wire-error.ts";

/** An event holds one token with its alternatives; what is larger is no answer of this API. */
const MAX_EVENT_CHARS = 4_000_000;

/**
 * The JSON of each event up to `[DONE]`. Left early it cancels the body, which stops the model.
 *
 * @throws PronkError what an event reports; "source_failed" when the connection breaks; "aborted".
 */
export async function* readEvents(answer: Response, signal: AbortSignal): AsyncGenerator<unknown> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  const events = new EventData(MAX_EVENT_CHARS);
  try {
    for (;;) {
      const { done, value = "" } = await reader.read();
      if (done) return;
      for (const data of events.push(value)) {
        if (data === "") continue;
        if (data === "[DONE]") return;
        const event: unknown = JSON.parse(data);
        const { error } = event as { error?: { code?: unknown; message?: unknown } };
        if (error) throw new PronkError(codeOfWire(String(error.code)), String(error.message));
        yield event;
      }
    }
  } catch (cause) {
    if (cause instanceof PronkError) throw cause;
    if (signal.aborted) throw new PronkError("aborted", "aborted", { cause });
    throw new PronkError("source_failed", "the connection broke in the middle of the answer", {
      cause,
      retryAfterMs: 0,
    });
  } finally {
    await reader.cancel().catch(() => {});
  }
}
