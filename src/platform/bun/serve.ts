/** HTTP on Bun. */
import type { FetchHandler, HttpServer, ListenOptions } from "../host/host.ts";
import { listenUrl } from "../host/listen-url.ts";

/** Bun's default of 10 s cuts a stream whose prompt takes longer than that. */
const IDLE_TIMEOUT_SECONDS = 120;

export async function serve(fetch: FetchHandler, options: ListenOptions): Promise<HttpServer> {
  const server = Bun.serve({
    ...options,
    idleTimeout: IDLE_TIMEOUT_SECONDS,
    fetch: (request) => fetch(request),
  });
  return {
    url: listenUrl(options.hostname, server.port),
    async close(graceMs = 0): Promise<void> {
      if (graceMs > 0) {
        const timer = setTimeout(() => server.stop(true), graceMs);
        await server.stop(false);
        clearTimeout(timer);
      }
      await server.stop(true);
    },
  };
}
