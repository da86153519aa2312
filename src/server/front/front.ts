/**
 * The front of several engines: reads where a request belongs (affinity.ts) and sends it on, with a header
 * that says so, to a load balancer which hashes that (deploy/nginx.conf). Clients get an answer or an
 * error in every case: what fails before its first byte is an error with a status that may be retried, a
 * stream whose engine dies ends with one event that says so, and nothing waits forever.
 *
 * @example Deno.serve(createFront({ upstream: "http://127.0.0.1:8080" }).fetch);
 */
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { PronkError } from "../../errors.ts";
import { AFFINITY_HEADER, affinityKey, affinityOfId } from "../affinity.ts";
import { abortOf } from "../answer.ts";
import { ANTHROPIC_ERRORS } from "../anthropic/answer.ts";
import { parseBody, readBytes } from "../body.ts";
import type { AppContext, AppEnv, Clock, LogEntry } from "../context.ts";
import { type CorsOptions, cors } from "../cors.ts";
import { RequestError, toErrorReply } from "../errors.ts";
import { onlyHosts } from "../hosts.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { OLLAMA_ERRORS } from "../ollama/routes.ts";
import { requestId } from "../request-id.ts";
import { RequestRecord } from "../request-record.ts";
import { tolerantPath } from "../routing.ts";
import { relay } from "./relay.ts";
import { streamForm } from "./stream-forms.ts";

export interface FrontOptions {
  /** The load balancer: `http://127.0.0.1:8080`. */
  readonly upstream: string;
  /** What asks it; gets the header, too. Default: the runtime's own. */
  readonly fetch?: (request: Request) => Promise<Response>;
  /** Bytes of a request's body, which is kept until it is answered. Default 1 MiB. */
  readonly bodyBytes?: number;
  /** Until an answer begins; whole ones begin when they are done. Default 300 seconds. */
  readonly answerMs?: number;
  /** Silence in a stream after which its engine is taken for dead. Default 60 seconds. */
  readonly idleMs?: number;
  /** Whether new requests are refused, as by a server that stops. */
  readonly isStopping?: () => boolean;
  /** Default: every origin. */
  readonly cors?: CorsOptions | false;
  /** As of createApp. Default: any. */
  readonly hosts?: readonly string[];
  /** Called when an answer has ended. */
  readonly log?: (entry: LogEntry) => void;
  /** Default: performance.now and Date.now. */
  readonly clock?: Clock;
  /** As setTimeout; the result cancels. Default: that. */
  readonly after?: (ms: number, run: () => void) => () => void;
}

/** Node's own bound on the time until the headers. */
const ANSWER_MS = 300_000;

/** Four pings of an engine. */
const IDLE_MS = 60_000;

/** Whoever asks whether there is an engine wants to know it now. */
const HEALTH_MS = 5_000;

/** Of one hop only, or made anew: RFC 9110, 7.6.1. fetch() decodes what is encoded. */
const HOP_HEADERS = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "host",
  "accept-encoding",
  "content-encoding",
  "content-length",
];

/** What changes or tells of one engine alone is asked of that engine. */
const ONE_ENGINE = /^(?:GET \/metrics|POST \/v1\/(?:un)?load_lora_adapter|POST \/lora-adapters)$/;

/** What proxies answer for what is behind them. */
const PROXY_ERRORS = [502, 503, 504];

/** @throws PronkError "bad_request" when `upstream` is no http URL. */
export function createFront(options: FrontOptions): Hono<AppEnv> {
  const upstream = baseOf(options.upstream);
  const clock = options.clock ?? { now: () => performance.now(), wall: () => Date.now() };
  const send = createSend(options);
  const randomId = (): string => crypto.randomUUID().replaceAll("-", "");

  const app = new Hono<AppEnv>({ getPath: tolerantPath });
  app.use(async (c, next) => {
    const record = new RequestRecord(
      requestId(c.req.raw.headers, randomId),
      clock.now(),
      clock.wall(),
    );
    c.set("record", record);
    c.header("x-request-id", record.id);
    c.header("x-content-type-options", "nosniff");
    if (c.req.path === "/v1/messages") c.set("errorForm", ANTHROPIC_ERRORS);
    if (c.req.path.startsWith("/api/")) c.set("errorForm", OLLAMA_ERRORS);
    await next();
    const { method, path } = c.req;
    const { status } = c.res;
    record.error ??= c.error;
    record.whenEnded(() => {
      const { id, arrivedMs, startedMs, error } = record;
      const ms = clock.now() - startedMs;
      const failed = error === undefined ? {} : { error };
      options.log?.({ time: arrivedMs, request_id: id, method, path, status, ms, ...failed });
    });
  });
  app.use(onlyHosts(options.hosts));
  app.use(cors(options.cors ?? { origins: "*" }));
  app.onError((error, c) => {
    const reply = toErrorReply(error);
    const body = c.get("errorForm")?.spell(reply, c) ?? reply.body;
    return c.json(body as object, reply.status as ContentfulStatusCode, reply.headers);
  });
  app.all("*", async (c) => {
    if (options.isStopping?.() === true) {
      if (c.req.path === "/health") return c.json({ status: "stopping" }, 503);
      throw new RequestError("server_stopping", "the server is stopping");
    }
    const { method, path } = c.req;
    if (ONE_ENGINE.test(`${method} ${path}`)) {
      throw new RequestError("not_allowed", `${method} ${path}: each engine has its own; ask it`);
    }
    const bytes = await bodyOf(c, options.bodyBytes ?? DEFAULT_LIMITS.bodyBytes);
    const headers = onward(c.req.raw.headers);
    headers.set(AFFINITY_HEADER, (await keyOf(c, bytes)) ?? randomId().slice(0, 16));
    headers.set("x-request-id", c.get("record").id);
    // What is encoded once more takes time, and events wait for it.
    headers.set("accept-encoding", "identity");
    const { pathname, search } = new URL(c.req.url);
    const url = `${upstream}${pathname}${search}`;
    const body = bytes ?? null;
    return send(
      c,
      (signal) => new Request(url, { method, headers, body, signal, redirect: "manual" }),
    );
  });
  return app;
}

type Send = (c: AppContext, request: (signal: AbortSignal) => Request) => Promise<Response>;

function createSend(options: FrontOptions): Send {
  const { answerMs = ANSWER_MS, idleMs = IDLE_MS, fetch = globalThis.fetch } = options;
  const after = options.after ?? timeout;
  return async (c, request) => {
    const client = abortOf(c);
    const abort = new AbortController();
    const leave = (): void => abort.abort();
    client.signal.addEventListener("abort", leave, { once: true });
    const ms = c.req.path === "/health" ? Math.min(HEALTH_MS, answerMs) : answerMs;
    let isLate = false;
    const cancel = after(ms, () => {
      isLate = true;
      abort.abort();
    });
    const ask = (): Promise<Response> => fetch(request(abort.signal));
    let response: Response;
    try {
      // Once more: the load balancer may have closed the connection that was kept open to it.
      response = await ask().catch((error) => {
        if (abort.signal.aborted) throw error;
        return ask();
      });
    } catch (cause) {
      if (client.signal.aborted) throw new PronkError("aborted", "the client is gone", { cause });
      const why = isLate ? `no answer in ${Math.round(ms / 1000)} s` : "no engine can be reached";
      throw new RequestError("upstream_failed", why, { cause });
    } finally {
      cancel();
    }
    return passOn(c, response, { idleMs, after, leave });
  };
}

function passOn(
  c: AppContext,
  response: Response,
  how: { idleMs: number; after: NonNullable<FrontOptions["after"]>; leave: () => void },
): Response {
  const { status, body } = response;
  const headers = onward(response.headers);
  const contentType = headers.get("content-type");
  if (PROXY_ERRORS.includes(status) && !contentType?.startsWith("application/json")) {
    body?.cancel().catch(() => {}); // a page for people
    throw new RequestError("upstream_failed", "no engine takes the request");
  }
  for (const [name, value] of headers) {
    // Those of CORS are the front's own.
    if (!name.startsWith("access-control-")) c.header(name, value);
  }
  const form = streamForm(c.req.path, contentType);
  if (form === undefined || body === null || status !== 200) {
    return c.newResponse(body as ReadableStream<Uint8Array>, status as ContentfulStatusCode);
  }
  const record = c.get("record");
  record.hold();
  const relayed = relay(body, {
    form,
    idleMs: how.idleMs,
    after: how.after,
    abort: how.leave,
    onEnd: (error) => {
      record.error = error;
      record.end();
    },
  });
  return c.body(relayed, 200);
}

/** undefined where there is none. @throws RequestError "request_too_large", PronkError "bad_request". */
async function bodyOf(
  c: AppContext,
  limitBytes: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (c.req.method === "GET" || c.req.method === "HEAD") return undefined;
  return readBytes(c.req.raw, limitBytes);
}

/** undefined: it may go anywhere. What is no JSON is the engine's to refuse. */
async function keyOf(c: AppContext, bytes: Uint8Array | undefined): Promise<string | undefined> {
  const id = /^\/v1\/responses\/([^/]+)/.exec(c.req.path)?.[1];
  const ofId = affinityOfId(id);
  if (ofId !== undefined || bytes === undefined || bytes.length === 0) return ofId;
  try {
    return await affinityKey(parseBody(bytes));
  } catch (error) {
    if (error instanceof PronkError) return undefined;
    throw error;
  }
}

/** A copy without what is of one hop only. */
function onward(given: Headers): Headers {
  const headers = new Headers(given);
  for (const name of given.get("connection")?.split(",") ?? []) {
    if (/^[\w-]+$/.test(name.trim())) headers.delete(name.trim());
  }
  for (const name of HOP_HEADERS) headers.delete(name);
  return headers;
}

function baseOf(upstream: string): string {
  const url = URL.canParse(upstream) ? new URL(upstream) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search || url.hash) {
    const shown = url === undefined ? "none" : `${url.protocol}//${url.host}`;
    throw new PronkError("bad_request", `upstream: expected an http URL, got ${shown}`);
  }
  // fetch() takes none, and would repeat them.
  if (url.username || url.password) {
    throw new PronkError(
      "bad_request",
      `upstream: ${url.host}: credentials in a URL cannot be sent`,
    );
  }
  return url.href.replace(/\/+$/, "");
}

function timeout(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
