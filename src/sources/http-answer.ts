/** What a server's answer to a range request says, and whether it is one. */
import { PronkError } from "../errors.ts";
import { passingFailure } from "./failure.ts";

/** Statuses that another try may not meet: timeouts, too many requests, trouble behind the server. */
const PASSING_STATUSES: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

/** The version of an object: what must stay equal while it is read. */
export interface Version {
  /** Total bytes; undefined where the server does not say. */
  readonly size: number | undefined;
  /** `ETag "x"` or `Last-Modified …`, as messages show it; undefined without either. */
  readonly validator: string | undefined;
}

/** The bytes [start, end) of the object that the body has. */
export interface Answer extends Version {
  readonly start: number;
  readonly end: number | undefined;
  /** Whether it is a page for people: what proxies and portals send in the place of data. */
  readonly isPage: boolean;
}

/**
 * Reads status and headers of an answer to a range request; never its body.
 *
 * @throws PronkError "not_found" on 404 and 410; "source_failed" on other statuses (retryable where
 *   they may pass), malformed ranges and compressed bodies, whose bytes cannot be addressed.
 */
export function readAnswer(name: string, response: Response): Answer {
  const { status, headers } = response;
  const failed = (what: string): PronkError => new PronkError("source_failed", `${name}: ${what}`);
  const etag = headers.get("etag");
  const modified = headers.get("last-modified");
  const isPage = headers.get("content-type")?.startsWith("text/html") === true;
  const validator = etag ? `ETag ${etag}` : modified ? `Last-Modified ${modified}` : undefined;

  if (status === 416) {
    const size = /^bytes \*\/(\d+)$/.exec(headers.get("content-range") ?? "")?.[1];
    if (size === undefined) throw failed("HTTP 416, which does not say its size");
    return { size: Number(size), validator, start: 0, end: 0, isPage };
  }
  if (status !== 200 && status !== 206) throw refused(name, response);
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") {
    throw failed(`sent compressed (${encoding}), so its bytes cannot be addressed`);
  }
  if (status === 200) {
    const length = headers.get("content-length");
    const size = length === null ? undefined : Number(length);
    return { size, validator, start: 0, end: size, isPage };
  }
  const range = headers.get("content-range");
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range ?? "");
  if (!match) throw failed(`HTTP 206 with content-range ${range ?? "missing"}`);
  const [, first, last, total] = match;
  const size = total === "*" ? undefined : Number(total);
  return { size, validator, start: Number(first), end: Number(last) + 1, isPage };
}

function refused(name: string, response: Response): PronkError {
  const { status, headers } = response;
  const message = `${name}: HTTP ${status} ${response.statusText}`.trimEnd();
  if (status === 404 || status === 410) return new PronkError("not_found", message);
  if (PASSING_STATUSES.includes(status)) return passingFailure(message, retryAfterMs(headers));
  return new PronkError("source_failed", message);
}

/** Retry-After: seconds, or a date, which is compared with the server's own clock; 0 where it says nothing of use. */
export function retryAfterMs(headers: Headers): number {
  const value = headers.get("retry-after") ?? "";
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const wait = Date.parse(value) - Date.parse(headers.get("date") ?? "");
  return Number.isFinite(wait) ? Math.max(0, wait) : 0;
}
