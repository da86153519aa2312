/** What went wrong, for programs: stable across versions, unlike messages. */
export type ErrorCode =
  | "bad_format" // the bytes are not what they claim to be; retrying cannot help
  | "corrupt" // the bytes differ from their checksum; another copy may be whole
  | "unsupported" // valid, but not something this runtime can run
  | "not_found" // a file, object, model or runtime that was named does not exist
  | "source_failed" // storage answered with an error or too few bytes; may be retried
  | "out_of_memory" // the model or context does not fit the memory limit
  | "bad_request" // the caller's input is invalid
  | "context_overflow" // the prompt is longer than the context
  | "overloaded" // the queue is full; retry later
  | "unavailable" // engines elsewhere are full or cannot be reached; retry later
  | "loading" // the model is not ready yet; retry later
  | "engine_failed" // a kernel trapped or the engine was disposed in mid-request
  | "aborted"; // the caller's AbortSignal fired

/** Characters of a message; those that list what is known have 500. */
const MAX_MESSAGE = 2000;

/** Of a longer one: what stands at its end says what would have been right. */
const MESSAGE_END = 500;

/** Control characters but line breaks, and those that turn the direction of a terminal's text. */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]|\p{Cs}/gu;

/** What a file or a client wrote may be part of a message: no byte of it reaches a terminal or a log as a command. */
function readable(message: string): string {
  const escaped = shortened(message).replace(UNSAFE, (found) => {
    return `\\u{${found.codePointAt(0)!.toString(16)}}`;
  });
  return escaped.length <= MAX_MESSAGE ? escaped : shortened(escaped).replace(/\p{Cs}/gu, "\ufffd");
}

function shortened(message: string): string {
  if (message.length <= MAX_MESSAGE) return message;
  return `${message.slice(0, MAX_MESSAGE - MESSAGE_END - 3)} … ${message.slice(-MESSAGE_END)}`;
}

/** The only error class this package throws on purpose; anything else is a bug. */
export class PronkError extends Error {
  override readonly name = "PronkError";
  readonly code: ErrorCode;
  /** The request field at fault, for "bad_request": `temperature`, `messages[0].content`. */
  readonly param: string | undefined;
  /**
   * Set when trying again may help, as after a broken connection: how long to wait at least, in
   * milliseconds; 0 when the other side did not say.
   */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options?: ErrorOptions & { param?: string; retryAfterMs?: number },
  ) {
    super(readable(message), options);
    this.code = code;
    this.param = options?.param;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** @throws PronkError "aborted" when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PronkError("aborted", "aborted", { cause: signal.reason });
}
