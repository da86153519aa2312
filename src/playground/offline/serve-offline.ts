/**
 * The service worker: keeps the page's own files, all of one version, so that the page opens without a network; and
 * adds the headers that let it have threads, where its host does not send them.
 *
 * A new version is fetched beside the old one and waits until the page asks for it: a chat is never torn off. Models
 * are not kept here but by the page's worker; requests for them pass.
 */
import { PLAYGROUND_HEADERS } from "../../server/playground/policy.ts";

/** What is used of a ServiceWorkerGlobalScope, whose type is that of service workers alone. */
export interface OfflineScope {
  readonly registration: { readonly scope: string };
  readonly caches: CacheStorage;
  addEventListener(type: string, listener: (event: never) => void): void;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  fetch(request: Request | string, init?: RequestInit): Promise<Response>;
}

export interface OfflineFiles {
  /** Of all files together: other files, another version. */
  readonly version: string;
  /** Relative to the scope; `./` is the page. */
  readonly files: readonly string[];
}

interface Event {
  waitUntil(work: Promise<unknown>): void;
}

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

/** Before the version, in the names of caches. */
const CACHE_PREFIX = "pronk-page-";

/** Lists that are asked for anew where there is a network: which models lie beside the page. */
const LISTS = ["models.json"];

/** The message by which a page takes the version that waits. */
export const TAKE_OVER = "take-over";

export function serveOffline(scope: OfflineScope, { version, files }: OfflineFiles): void {
  const base = scope.registration.scope;
  const cacheName = `${CACHE_PREFIX}${version}`;
  const urls = new Set(files.map((file) => new URL(file, base).href));
  const lists = new Set(LISTS.map((file) => new URL(file, base).href));
  const on = <Name extends Event>(type: string, listener: (event: Name) => void): void =>
    scope.addEventListener(type, listener as (event: never) => void);

  on("install", (event) => event.waitUntil(install()));
  on("activate", (event) => event.waitUntil(activate()));
  on<Event & { readonly data: unknown }>("message", (event) => {
    if (event.data === TAKE_OVER) event.waitUntil(scope.skipWaiting());
  });
  on<FetchEvent>("fetch", (event) => {
    const { request } = event;
    if (request.method !== "GET") return;
    const url = request.url.replace(/[?#].*$/, "");
    const page = url === new URL("index.html", base).href ? new URL("./", base).href : url;
    if (urls.has(page)) event.respondWith(kept(page, request));
    else if (lists.has(url)) event.respondWith(newest(url, request));
  });

  /** All of it or nothing: a version of which a file is missing is no version. */
  async function install(): Promise<void> {
    const cache = await scope.caches.open(cacheName);
    await Promise.all(
      [...urls].map(async (url) => {
        // Names with a hash may come from the browser's cache; the page itself may not.
        const mode = /-[\w-]{8}\.\w+$/.test(url) ? "default" : "no-cache";
        const answer = await scope.fetch(url, { cache: mode });
        if (!answer.ok) throw new Error(`${url}: HTTP ${answer.status}`);
        await cache.put(url, answer);
      }),
    );
    for (const url of lists) {
      const answer = await scope.fetch(url, { cache: "no-cache" }).catch(() => undefined);
      if (answer?.ok) await cache.put(url, answer);
    }
  }

  async function activate(): Promise<void> {
    const names = await scope.caches.keys();
    const old = names.filter((name) => name.startsWith(CACHE_PREFIX) && name !== cacheName);
    await Promise.all(old.map((name) => scope.caches.delete(name)));
    await scope.clients.claim();
  }

  async function kept(url: string, request: Request): Promise<Response> {
    const cache = await scope.caches.open(cacheName);
    return isolated((await cache.match(url)) ?? (await scope.fetch(request)));
  }

  async function newest(url: string, request: Request): Promise<Response> {
    const cache = await scope.caches.open(cacheName);
    try {
      const answer = await scope.fetch(request);
      if (answer.ok) await cache.put(url, answer.clone());
      return isolated(answer);
    } catch (error) {
      const last = await cache.match(url);
      if (last === undefined) throw error;
      return isolated(last);
    }
  }

  /** With what the page needs to share memory with its threads, and its policy, which workers do not inherit. */
  function isolated(answer: Response): Response {
    const { status, statusText } = answer;
    const headers = new Headers(answer.headers);
    for (const [name, value] of Object.entries(PLAYGROUND_HEADERS)) headers.set(name, value);
    return new Response(answer.body, { status, statusText, headers });
  }
}
