/** An answer that is no success, as the error that the engine would have thrown. */
import { type ErrorCode, PronkError } from "../../errors.ts";

/** Of codes on the wire, those that the page treats in a way of their own (src/server/errors.ts has the table). */
const CODES: Readonly<Record<string, ErrorCode>> = {
  context_length_exceeded: "context_overflow",
  rate_limit_exceeded: "overloaded",
  model_loading: "loading",
  server_stopping: "unavailable",
  engine_unavailable: "unavailable",
  upstream_failed: "unavailable",
  source_failed: "source_failed",
  engine_failed: "engine_failed",
  unsupported_parameter: "unsupported",
  unsupported_schema: "unsupported",
  model_not_found: "not_found",
  aborted: "aborted",
};

export function codeOfWire(code: string): ErrorCode {
  return (Object.hasOwn(CODES, code) ? CODES[code] : undefined) ?? "bad_request";
}

/** Reads the body; of a proxy's own, which is no JSON, the status has to do. */
export async function wireError(answer: Response): Promise<PronkError> {
  const fallback = answer.status >= 500 ? "unavailable" : "bad_request";
  const waitMs = Number(answer.headers.get("retry-after-ms") ?? Number.NaN);
  const retry = Number.isFinite(waitMs) ? { retryAfterMs: waitMs } : {};
  try {
    const { error } = await answer.json();
    const param = typeof error.param === "string" ? { param: error.param } : {};
    return new PronkError(codeOfWire(error.code), error.message, { ...param, ...retry });
  } catch {
    return new PronkError(
      fallback,
      `the server answers ${answer.status} ${answer.statusText}`,
      retry,
    );
  }
}
