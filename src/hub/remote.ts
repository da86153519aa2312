/**
 * One answered GET: redirects followed by hand, credentials kept to their own origin, a limit on
 * the time until the headers are there, and errors that say what the server said.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { reasonOf } from "../sources/failure.ts";
import { retryAfterMs } from "../sources/http-answer.ts";

export interface RemoteOptions {
  readonly fetch: typeof fetch;
  /** Sent as a bearer token, to the first origin only. */
  readonly token?: string;
  readonly signal?: AbortSignal;
  /** Until the headers of one answer. Default 5 s: an unreachable hub must not hold users up. */
  readonly connectTimeoutMs?: number;
  /** In which a body has to bring 4 KiB, or its end; else the connection is given up. Default 30 s. */
  readonly stallTimeoutMs?: number;
  /** Waiting times between attempts start here and double. Default 500 ms. */
  readonly backoffMs?: number;
  /** In a row that bring nothing, before giving up. Default 5; 2 while nobody has answered. */
  readonly attempts?: number;
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
    discard(response);
    at = redirected(next, at, first);
  }
  throw new PronkError("source_failed", `${shownUrl(url)}: more than ${MAX_REDIRECTS} redirects`);
}

/** What a hub says of a file in front of its storage. */
export interface FileMetadata {
  /** Without quotes; the SHA-256 of a large file, git's hash of a small one. */
  readonly etag: string | undefined;
  readonly commit: string | undefined;
}

/**
 * Asks for a file and reads no more than the headers of the hub's own answer, which a redirect to its
 * storage would replace.
 *
 * @throws as openRemote.
 */
export async function fileMetadata(url: string, options: RemoteOptions): Promise<FileMetadata> {
  const first = new URL(url);
  let at = first;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const authorization = options.token && { authorization: `Bearer ${options.token}` };
    const response = await answer(at, { "accept-encoding": "identity", ...authorization }, options);
    const { headers } = response;
    const next = headers.get("location");
    const isRedirect = REDIRECTS.includes(response.status) && next !== null;
    const etag = headers.get("x-linked-etag") ?? (isRedirect ? null : headers.get("etag"));
    const to = isRedirect ? redirected(next, at, first) : at;
    if (!isRedirect || etag !== null || to.origin !== first.origin) {
      if (!isRedirect) await checked(response, shownUrl(url), {}, options);
      discard(response);
      const commit = headers.get("x-repo-commit") ?? "";
      return {
        etag: etag?.replace(/^W\//, "").replaceAll('"', ""),
        commit: /^[0-9a-f]{40}$/.test(commit) ? commit : undefined,
      };
    }
    discard(response);
    at = to;
  }
  throw new PronkError("source_failed", `${shownUrl(url)}: more than ${MAX_REDIRECTS} redirects`);
}

/** @throws PronkError "source_failed" on what is no URL, or no place to follow to. */
function redirected(location: string, at: URL, first: URL): URL {
  const failed = (what: string): PronkError =>
    new PronkError("source_failed", `${shownUrl(first.href)}: redirected to ${what}`);
  if (!URL.canParse(location, at.href)) throw failed("what is no URL");
  const next = new URL(location, at);
  const { protocol, host, username, password } = next;
  // Never from https to http, and never to a user that somebody else names.
  if ((protocol !== "https:" && protocol !== first.protocol) || username || password) {
    throw failed(`${protocol}//${host}`);
  }
  return next;
}

/** Lets a body go; not awaited, because that of a broken connection may never settle. */
export function discard({ body }: Response): void {
  body?.cancel().catch(() => undefined);
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
  discard(response);
  const found = `${where}: HTTP ${status}`;
  if (status === 401 || status === 403 || status === 404) {
    const { code, why } = refusal(response, options.token !== undefined);
    throw new PronkError(code, why === "" ? found : `${found}: ${why}`);
  }
  if (status === 408 || status === 429 || status >= 500) {
    const wait = retryAfterMs(response.headers);
    throw new RetryableError(found, { answered: true, retryAfterMs: wait });
  }
  throw new PronkError("source_failed", found);
}

/** Why a hub refused, and what would help. Source: huggingface_hub/utils/_http.py. */
function refusal(
  response: Response,
  hasToken: boolean,
): { code: "not_found" | "source_failed"; why: string } {
  const { status } = response;
  const token = hasToken
    ? "the token in HF_TOKEN does not open it"
    : "a token in HF_TOKEN may open it";
  switch (response.headers.get("x-error-code")) {
    case "GatedRepo": {
      const how = hasToken
        ? "the account of HF_TOKEN has no access yet: ask for it on the repository's page"
        : "ask for access on the repository's page, then set HF_TOKEN to a token of that account";
      return { code: "source_failed", why: `gated: ${how}` };
    }
    case "RepoNotFound":
      return { code: "not_found", why: `no such repository, or a private one; ${token}` };
    case "RevisionNotFound":
      return { code: "not_found", why: "no such revision of the repository" };
    case "EntryNotFound":
      return { code: "not_found", why: "no such file in the repository" };
  }
  if (status === 404) return { code: "not_found", why: "" };
  return { code: "source_failed", why: `private or gated; ${token}` };
}

/** For messages: signed URLs carry credentials in their query, others before the host. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
