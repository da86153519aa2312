/** Failures of storage, worded alike by every source. */
import { PronkError } from "../errors.ts";

/** A failure that another try may not meet: a broken connection, a busy server. */
export function passingFailure(message: string, retryAfterMs = 0): PronkError {
  return new PronkError("source_failed", message, { retryAfterMs });
}

/**
 * What a runtime's own error says, for a message: its innermost cause (`fetch failed` alone tells
 * nobody anything), without the URLs that some runtimes put in, as those may hold credentials.
 */
export function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const { code } = inner as { code?: unknown };
  const text = inner instanceof Error ? inner.message || inner.name : String(inner);
  const shown = text.replace(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, "(URL)");
  return typeof code === "string" && !shown.includes(code) ? `${shown} (${code})` : shown;
}
