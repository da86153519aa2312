/** HTTP on Deno. */
import type { FetchHandler, HttpServer, ListenOptions } from "../host/host.ts";
import { listenUrl } from "../host/listen-url.ts";

export async function serve(fetch: FetchHandler, options: ListenOptions): Promise<HttpServer> {
  const stop = new AbortController();
  const server = Deno.serve(
    // Without onListen Deno prints a line of its own on stdout.
    { ...options, signal: stop.signal, onListen: () => undefined },
    (request) => fetch(request),
  );
  return {
    url: listenUrl(options.hostname, server.addr.port),
    async close(graceMs = 0): Promise<void> {
      const breakOff = (): void => stop.abort();
      const timer = graceMs > 0 ? setTimeout(breakOff, graceMs) : breakOff();
      if (graceMs > 0) await server.shutdown();
      await server.finished;
      clearTimeout(timer ?? undefined);
    },
  };
}
