/**
 * GET with redirects followed by hand, so that what tells who asks goes to the URL's own origin only: fetch takes nothing but
 * Authorization off on the way to another one, and Workers not even that. The range goes along everywhere.
 */
import { PronkError } from "../errors.ts";

export interface RedirectedRequest {
  readonly url: string;
  /** For messages. */
  readonly name: string;
  /** For every origin that is redirected to. */
  readonly plain: Readonly<Record<string, string>>;
  /** For the URL's own origin. */
  readonly own: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

/** A model hub needs 2: to its storage, and from there to a cache near the user. */
const MAX_REDIRECTS = 5;

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/**
 * The answer at the end of the redirects, and what it is called in messages.
 *
 * @throws PronkError "source_failed" when they do not end, or lead to what is no web server; as fetch does.
 */
export async function fetchRedirected(
  request: RedirectedRequest,
): Promise<{ readonly response: Response; readonly where: string }> {
  const { url, name, plain, own, fetch, signal } = request;
  const { origin, protocol } = new URL(url);
  let at = url;
  let where = name;
  for (let hops = 0; ; hops++) {
    const isOwn = new URL(at).origin === origin;
    const headers = isOwn ? { ...own, ...plain } : { ...plain };
    const response = await fetch(at, { headers, redirect: "manual", signal });
    if (response.type === "opaqueredirect") {
      // Browsers do not say where to; they take Authorization off themselves.
      const { authorization } = own;
      const known = { ...plain, ...(authorization !== undefined && { authorization }) };
      return { response: await fetch(url, { headers: known, signal }), where };
    }
    const location = response.headers.get("location");
    if (!REDIRECTS.includes(response.status) || location === null) return { response, where };
    response.body?.cancel().catch(() => undefined);
    const failed = (what: string) => new PronkError("source_failed", `${name}: ${what}`);
    if (hops === MAX_REDIRECTS) throw failed(`more than ${MAX_REDIRECTS} redirects`);
    if (!URL.canParse(location, at)) throw failed("redirected to what is no URL");
    const next = new URL(location, at);
    const { protocol: to, username, password } = next;
    // Never from https to http, and never to a user that somebody else names.
    if ((to !== "https:" && to !== protocol) || username || password) {
      throw failed(`redirected to ${to}//${next.host}, which is not followed`);
    }
    at = next.href;
    where = next.origin === origin ? name : `${name}, redirected to ${next.origin}`;
  }
}
