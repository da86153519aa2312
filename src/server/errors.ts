/**
 * What a failure looks like on the wire: one table from codes to status, OpenAI type and OpenAI
 * code, and the envelope `{"error":{message,type,param,code}}`.
 *
 * Source: the OpenAI OpenAPI description 2.3.0 (all four keys are required), and the retry rules of
 * the `openai` clients: x-should-retry, then the status, then retry-after-ms and retry-after.
 */
import { type ErrorCode, PronkError } from "../errors.ts";

/** Failures that only exist on the wire; the rest are PronkError codes. */
export type RequestErrorCode =
  | "unsupported_parameter" // a field that this server does not (yet) honour
  | "unsupported_schema" // a schema, grammar or pattern with what cannot be made sure of
  | "invalid_api_key"
  | "model_not_found"
  | "previous_response_not_found"
  | "unknown_url"
  | "permission_denied" // the key is valid, but not for this
  | "rate_limited" // a window is used up; waiting for the next is sensible
  | "quota_exceeded" // a window is used up for longer than a client waits
  | "not_allowed" // a route that the server's owner has to open
  | "foreign_origin" // of a page that this server is not for
  | "foreign_host" // for a name that is not this server's
  | "method_not_allowed"
  | "request_too_large"
  | "load_failed" // the model cannot be loaded; retrying cannot help
  | "server_stopping" // it ends what it has begun, and takes nothing new
  | "upstream_failed"; // of a front: nothing behind it answers, or what did is gone

/** A refusal that the table spells more precisely than "bad_request". */
export class RequestError extends PronkError {
  readonly reply: RequestErrorCode;

  constructor(
    reply: RequestErrorCode,
    message: string,
    options?: ErrorOptions & { param?: string; retryAfterMs?: number },
  ) {
    super("bad_request", message, options);
    this.reply = reply;
  }
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly code: string;
  /** Sent as x-should-retry. undefined leaves it to the client's rule for the status. */
  readonly retry?: boolean;
  /** How long to wait at least, where the error does not say. */
  readonly retryAfterMs?: number;
}

/** A slot of a small model is free again after about an answer's length; a load takes less. */
const RETRY_AFTER_MS = 1000;

const refusal = (status: number, code: string): Reply => ({
  status,
  type: "invalid_request_error",
  code,
  retry: false,
});
const failure = (code: string, retry?: boolean): Reply => ({
  status: 500,
  type: "server_error",
  code,
  ...(retry === undefined ? {} : { retry }),
});
const later = (status: number, type: string, code: string): Reply => ({
  status,
  type,
  code,
  retry: true,
  retryAfterMs: RETRY_AFTER_MS,
});

const REPLIES: Record<ErrorCode | RequestErrorCode, Reply> = {
  bad_request: refusal(400, "invalid_value"),
  unsupported: refusal(400, "unsupported_parameter"),
  unsupported_parameter: refusal(400, "unsupported_parameter"),
  unsupported_schema: refusal(400, "unsupported_schema"),
  context_overflow: refusal(400, "context_length_exceeded"),
  invalid_api_key: refusal(401, "invalid_api_key"),
  model_not_found: refusal(404, "model_not_found"),
  previous_response_not_found: refusal(400, "previous_response_not_found"),
  not_allowed: refusal(403, "not_allowed"),
  foreign_origin: refusal(403, "origin_not_allowed"),
  foreign_host: refusal(403, "host_not_allowed"),
  permission_denied: refusal(403, "permission_denied"),
  rate_limited: later(429, "rate_limit_error", "rate_limit_exceeded"),
  quota_exceeded: {
    ...later(429, "rate_limit_error", "rate_limit_exceeded"),
    retry: false,
  },
  unknown_url: refusal(404, "unknown_url"),
  not_found: refusal(404, "not_found"),
  method_not_allowed: refusal(405, "method_not_allowed"),
  request_too_large: refusal(413, "request_too_large"),
  overloaded: later(429, "rate_limit_error", "rate_limit_exceeded"),
  aborted: refusal(499, "aborted"), // nginx's "client closed request": nobody reads it
  engine_failed: failure("engine_failed"),
  load_failed: failure("engine_failed", false),
  bad_format: failure("engine_failed", false),
  corrupt: failure("engine_failed", false),
  out_of_memory: failure("engine_failed", false),
  source_failed: later(503, "server_error", "source_failed"),
  unavailable: later(503, "server_error", "engine_unavailable"),
  loading: later(503, "server_error", "model_loading"),
  server_stopping: later(503, "server_error", "server_stopping"),
  upstream_failed: later(503, "server_error", "upstream_failed"),
};

/** The JSON body of every answer that is not a success. */
export interface ErrorEnvelope {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

/** A failure, ready to send. */
export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorEnvelope;
}

/** Spells any thrown value for the wire. What is not a PronkError is a bug: its message stays here. */
export function toErrorReply(error: unknown): ErrorReply {
  const known = error instanceof PronkError;
  const key = error instanceof RequestError ? error.reply : known ? error.code : "engine_failed";
  const { status, type, code, retry, retryAfterMs } = REPLIES[key];

  const waitMs = retryAfterMs && ((known && error.retryAfterMs) || retryAfterMs);
  const headers: Record<string, string> = {};
  if (retry !== undefined) headers["x-should-retry"] = String(retry);
  if (waitMs !== undefined) {
    headers["retry-after"] = String(Math.ceil(waitMs / 1000));
    headers["retry-after-ms"] = String(Math.ceil(waitMs));
  }
  if (status === 401) headers["www-authenticate"] = "Bearer";

  const message = known ? error.message : "internal error";
  const param = known ? (error.param ?? null) : null;
  return { status, headers, body: { error: { message, type, param, code } } };
}
