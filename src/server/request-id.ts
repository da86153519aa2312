/** A name for every request, on every answer: the caller's own when it is sane. */

/** What may be echoed into a header and a log line. */
const SANE_ID = /^[A-Za-z0-9._:-]{1,128}$/;
/** W3C Trace Context, version 00: https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACE_PARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The id of a request, from its x-request-id or new. */
export function requestId(headers: Headers, randomId: () => string): string {
  const given = headers.get("x-request-id");
  return given !== null && SANE_ID.test(given) ? given : `req_${randomId()}`;
}

/** The caller's traceparent, to be echoed; undefined when there is none or it is malformed. */
export function traceParent(headers: Headers): string | undefined {
  const given = headers.get("traceparent");
  return given !== null && TRACE_PARENT.test(given) ? given : undefined;
}
