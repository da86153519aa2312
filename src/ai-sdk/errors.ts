/** Failures as the AI SDK reads them: without its classes, by the marks that it tells them by. */
import { PronkError } from "../errors.ts";
import { toErrorReply } from "../server/errors.ts";

/** What APICallError.isInstance looks for; source: AISDKError.hasMarker of @ai-sdk/provider 3. */
const MARKS = ["vercel.ai.error", "vercel.ai.error.AI_APICallError"].map((name) =>
  Symbol.for(name),
);

/**
 * The signal's reason when it has fired, which is how the SDK knows an abort. A PronkError else: the same object,
 * marked as a failed call, so that the SDK tries again where that can help, by its own `maxRetries`.
 */
export function toSdkError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (!(error instanceof PronkError)) return error;
  const { status, headers, body } = toErrorReply(error);
  const call = {
    url: "pronk:",
    requestBodyValues: {},
    statusCode: status,
    isRetryable: headers["x-should-retry"] === "true",
    responseHeaders: headers,
    responseBody: JSON.stringify(body),
    data: body,
  };
  return Object.assign(error, call, Object.fromEntries(MARKS.map((mark) => [mark, true])));
}
