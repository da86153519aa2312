/**
 * What a page and its worker say to each other: calls with numbers, answers in parts, and errors that keep their codes.
 *
 * A call has one end: a value, or an error. A stream's parts come before it. A call that is cancelled is answered, too.
 */
import { type ErrorCode, PronkError } from "../../errors.ts";

/** From the page. */
export type CallMessage =
  | { readonly call: number; readonly method: string; readonly argument: unknown }
  | { readonly cancel: number };

/** From the worker; `ready` is the first thing that it says. */
export type AnswerMessage =
  | { readonly ready: true }
  | { readonly call: number; readonly part: unknown }
  | { readonly call: number; readonly end: unknown }
  | { readonly call: number; readonly error: ErrorMessage };

/** A PronkError in a message: structured clones of errors lose what a class adds. */
export interface ErrorMessage {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** Anything else than a PronkError is a fault of the engine; a RangeError, of memory that could not be had. */
export function toErrorMessage(error: unknown): ErrorMessage {
  if (error instanceof PronkError) {
    const { code, message, param, retryAfterMs } = error;
    return { code, message, param, retryAfterMs };
  }
  const message = error instanceof Error ? error.message : String(error);
  // What engines throw where an ArrayBuffer or a WebAssembly.Memory finds no room.
  const isMemory = error instanceof RangeError && /alloc|memory|buffer/i.test(message);
  return { code: isMemory ? "out_of_memory" : "engine_failed", message: `worker: ${message}` };
}

export function fromErrorMessage({ code, message, param, retryAfterMs }: ErrorMessage): PronkError {
  return new PronkError(code, message, {
    ...(param !== undefined && { param }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
