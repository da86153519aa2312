/**
 * One answered GET: redirects followed by hand, credentials kept to their own origin, a limit on
 * the time until the headers are there, and errors that say what the server said.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { reasonOf } from "../sources/failure.ts";

export interface RemoteOptions {
  readonly fetch: typeof fetch;
  /** Sent as a bearer token, to the first origin only. */
  readonly token?: string;
  readonly signal?: AbortSignal;
  /** Until the headers of one answer. Default 5 s: an unreachable hub must not hold users up. */
  readonly connectTimeoutMs?: number;
}

export const CONNECT_TIMEOUT_MS = 5_000;

/** The hub needs 2: to its storage, and from there to a cache near the user. */
const MAX_REDIRECTS = 5;

const REDIRECTS = [301, 302, 303, 307, 308];

/** A failure that may pass: the server is busy, or the network broke. */
export class RetryableError extends PronkError {
  /** Whether a server answered at all. */
  readonly answered: boolean;

  constructor(
    message: string,
    options: { answered: boolean; retryAfterMs?: number; cause?: unknown },
  ) {
    super("source_failed", message, { retryAfterMs: 0, ...options });
    this.answered = options.answered;
  }
}

/**
 * @returns an answer with status 200 or 206, or 416 when `headers` asked for a range.
 * @throws RetryableError; PronkError "not_found", "source_failed", "aborted".
 */
export async function openRemote(
  url: string,
  headers: Readonly<Record<string, string>>,
  options: RemoteOptions,
): Promise<Response> {
  const first = new URL(url);
  let at = first;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await answer(
      at,
      {
        // A compressed answer would have another length than the file.
        "accept-encoding": "identity",
        ...headers,
        ...(options.token &&
          at.origin === first.origin && { authorization: `Bearer ${options.token}` }),
      },
      options,
    );
    const next = response.headers.get("location");
    if (!REDIRECTS.includes(response.status) || next === null) {
      return checked(response, shownUrl(url), headers, options);
    }
    await response.body?.cancel();
    at = new URL(next, at);
    if (at.protocol !== "https:" && at.protocol !== first.protocol) {
      const to = `${at.protocol}//${at.host}`;
      throw new PronkError("source_failed", `${shownUrl(url)}: redirected to ${to}`);
    }
  }
  throw new PronkError("source_failed", `${shownUrl(url)}: more than ${MAX_REDIRECTS} redirects`);
}

async function answer(
  url: URL,
  headers: Record<string, string>,
  options: RemoteOptions,
): Promise<Response> {
  throwIfAborted(options.signal);
  const limitMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), limitMs);
  const signals = options.signal ? [late.signal, options.signal] : [late.signal];
  try {
    return await options.fetch(url, {
      headers,
      redirect: "manual",
      signal: AbortSignal.any(signals),
    });
  } catch (cause) {
    throwIfAborted(options.signal);
    if (cause instanceof PronkError) throw cause;
    const why = late.signal.aborted ? `no answer within ${limitMs / 1000} s` : reasonOf(cause);
    throw new RetryableError(`${shownUrl(url.href)}: ${why}`, { answered: false, cause });
  } finally {
    clearTimeout(timer);
  }
}

async function checked(
  response: Response,
  where: string,
  headers: Readonly<Record<string, string>>,
  options: RemoteOptions,
): Promise<Response> {
  const { status } = response;
  if (status === 200 || status === 206 || (status === 416 && headers.range)) return response;
  await response.body?.cancel();
  const found = `${where}: HTTP ${status}`;
  if (status === 404) throw new PronkError("not_found", found);
  if (status === 401 || status === 403) {
    const why = options.token
      ? "the token in HF_TOKEN does not open it"
      : "private or gated; a token in HF_TOKEN may open it";
    throw new PronkError("source_failed", `${found}: ${why}`);
  }
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : 0;
    throw new RetryableError(found, { answered: true, retryAfterMs });
  }
  throw new PronkError("source_failed", found);
}

/** For messages: signed URLs carry credentials in their query, others before the host. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
