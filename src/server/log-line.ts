/**
 * Requests as log lines: who asked what and what it cost, never what was said. A refusal's message may quote
 * a request, an unexpected error's may quote anything, so that neither is in a line; their codes, and the
 * places in the code where they came from, are.
 */
import { PronkError } from "../errors.ts";
import type { LogEntry } from "./context.ts";
import { toErrorReply } from "./errors.ts";

/** Causes of causes that a line tells. */
const MAX_CAUSES = 4;

/** One JSON object, without a line break; fields that are not known are left out. */
export function jsonLogLine(entry: LogEntry): string {
  const { time, error, ms, path, first_token_ms, ...rest } = entry;
  return JSON.stringify({
    time: new Date(time).toISOString(),
    level: levelOf(entry),
    ...rest,
    path: oneLine(path),
    ms: rounded(ms),
    first_token_ms: first_token_ms === undefined ? undefined : rounded(first_token_ms),
    ...(error === undefined ? {} : { error: describeError(error, entry.status) }),
  });
}

/** `POST /v1/chat/completions 200 812 ms 37+9 tokens req_… app`. */
export function textLogLine(entry: LogEntry): string {
  const { method, path, status, ms, request_id, key, error } = entry;
  const { prompt_tokens, generated_tokens } = entry;
  const tokens = prompt_tokens === undefined ? "" : `${prompt_tokens}+${generated_tokens} tokens`;
  const failed = error === undefined ? "" : errorText(describeError(error, status));
  return [method, oneLine(path), status, `${Math.round(ms)} ms`, tokens, request_id, key, failed]
    .filter((part) => part !== "" && part !== undefined)
    .join(" ");
}

/** Paths arrive decoded: what they hold must not end a line, nor be obeyed by the terminal that shows it. */
function oneLine(path: string): string {
  return path.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, encodeURIComponent);
}

interface LoggedError {
  readonly code: string;
  readonly param?: string;
  /** Of failures of this server, whose messages do not come from requests. */
  readonly message?: string;
  /** Where: lines of code. */
  readonly stack?: string[];
  readonly cause?: LoggedError;
}

function describeError(error: unknown, status: number, depth = 0): LoggedError {
  const { code } = toErrorReply(error).body.error;
  if (error instanceof PronkError) {
    const isFailure = status >= 500 || toErrorReply(error).status >= 500;
    return {
      code: code ?? error.code,
      ...(error.param !== undefined && { param: error.param.replace(/[^\w.[\]-]/g, "") }),
      ...(isFailure && { message: error.message }),
      ...(isFailure && error.cause !== undefined && depth < MAX_CAUSES
        ? { cause: describeError(error.cause, status, depth + 1) }
        : {}),
    };
  }
  if (!(error instanceof Error)) return { code: typeof error };
  // Traps and exhausted stacks are the engine's own words.
  const isOfEngine = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
  return {
    code: error.name,
    ...(isOfEngine && { message: error.message }),
    stack: (error.stack ?? "")
      .split("\n")
      .flatMap((line) => /^\s*at .*|^.*@.*:\d+:\d+$/.exec(line)?.[0].trim() ?? []),
  };
}

function errorText({ code, param, message, stack, cause }: LoggedError): string {
  const parts = [param === undefined ? code : `${code} at ${param}`, message, stack?.join(" ")];
  const own = parts.filter(Boolean).join(": ");
  return cause === undefined ? own : `${own}; because ${errorText(cause)}`;
}

function levelOf({ status, error }: LogEntry): "info" | "warn" | "error" {
  if (status >= 500 || (status < 400 && error !== undefined)) return "error";
  return status >= 400 ? "warn" : "info";
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10;
