/**
 * A stream of events passed on, one whole event after the other: when its engine dies, what the client has
 * is whole events, and the last of them says what happened. A stream that ends without its last event
 * was cut off, whatever the proxies between made of that.
 */
import { RequestError } from "../errors.ts";
import type { StreamForm } from "./stream-forms.ts";

export interface RelayOptions {
  readonly form: StreamForm;
  /** Silence after which an engine is taken for dead, in milliseconds: engines ping every 15 seconds. */
  readonly idleMs: number;
  /** As setTimeout; the result cancels. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Called once: with what the client was told, with nothing at a good end and when the client left. */
  readonly onEnd: (error?: unknown) => void;
  /** Ends the request behind it. */
  readonly abort: () => void;
}

/** Of one event: 8,192 tokens with 20 log-probabilities each, all in the last event of a response. */
const MAX_EVENT_BYTES = 2 ** 25;

const FEED = 0x0a;

const SILENCE = Symbol("silence");

export function relay(
  source: ReadableStream<Uint8Array>,
  { form, idleMs, after, onEnd, abort }: RelayOptions,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  const events = new EventCutter(form.feeds);
  let last = "";

  const next = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const step = await withinSilence(reader.read(), idleMs, after);
      if (step === SILENCE) throw gone(`was silent for ${Math.round(idleMs / 1000)} s`);
      if (step.done) {
        if (form.isLast(last)) return undefined;
        throw gone("ended before its answer");
      }
      const whole = events.push(step.value);
      if (whole === undefined) continue;
      last = events.lastOf(whole) || last;
      return whole;
    }
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let failure: unknown;
        try {
          const whole = await next();
          if (whole !== undefined) return controller.enqueue(whole);
        } catch (cause) {
          failure = cause instanceof RequestError ? cause : gone("is gone", cause);
          // The engine has told already how it ended.
          if (form.isLast(last)) failure = undefined;
          else controller.enqueue(new TextEncoder().encode(form.failure(failure, last)));
          abort();
        }
        controller.close();
        onEnd(failure);
      },
      cancel() {
        abort();
        reader.cancel().catch(() => {}); // nobody waits for what it says
        onEnd();
      },
    },
    { highWaterMark: 0 },
  );
}

/** Holds bytes back until the event that they belong to is whole. */
class EventCutter {
  readonly #feeds: 1 | 2;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(feeds: 1 | 2) {
    this.#feeds = feeds;
  }

  /** @returns the events that are whole now, in one piece. @throws RequestError for one without end. */
  push(bytes: Uint8Array): Uint8Array | undefined {
    const end = this.#endOf(bytes);
    const whole = end === 0 ? undefined : join([...this.#held, bytes.subarray(0, end)]);
    if (whole !== undefined) {
      this.#held = [];
      this.#heldBytes = 0;
    }
    const rest = bytes.subarray(end);
    if (rest.length > 0) this.#held.push(rest);
    this.#heldBytes += rest.length;
    if (this.#heldBytes > MAX_EVENT_BYTES) throw gone("sent an event without an end");
    return whole;
  }

  /** The text of the last event that is no comment; "" where there is none. */
  lastOf(whole: Uint8Array): string {
    const separator = "\n".repeat(this.#feeds);
    // Further line feeds between events are none of either. A piece begins anywhere: its U+FEFF is text.
    const events = new TextDecoder("utf-8", { ignoreBOM: true })
      .decode(whole)
      .split(separator)
      .map((event) => event.replace(/^\n/, ""));
    return events.findLast((event) => event !== "" && !event.startsWith(":")) ?? "";
  }

  /** How many of these bytes belong to whole events. */
  #endOf(bytes: Uint8Array): number {
    for (let at = bytes.length - 1; at >= 0; at--) {
      if (bytes[at] !== FEED) continue;
      const before = at > 0 ? bytes[at - 1] : this.#held.at(-1)?.at(-1);
      if (this.#feeds === 1 || before === FEED) return at + 1;
    }
    return 0;
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

async function withinSilence<T>(
  promise: Promise<T>,
  ms: number,
  after: RelayOptions["after"],
): Promise<T | typeof SILENCE> {
  let cancel = (): void => {};
  const silence = new Promise<typeof SILENCE>((resolve) => {
    cancel = after(ms, () => resolve(SILENCE));
  });
  try {
    return await Promise.race([promise, silence]);
  } finally {
    cancel();
  }
}

function gone(how: string, cause?: unknown): RequestError {
  return new RequestError("upstream_failed", `the engine ${how}`, { cause });
}
