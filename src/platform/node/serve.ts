/** HTTP on Node, through Hono's adapter. */
import type { AddressInfo } from "node:net";
import type { FetchHandler, HttpServer, ListenOptions } from "../host/host.ts";
import { listenUrl } from "../host/listen-url.ts";
import { MAX_CONNECTIONS, SERVER_BOUNDS } from "./server-bounds.ts";

export async function serve(fetch: FetchHandler, options: ListenOptions): Promise<HttpServer> {
  // Loaded only here: it takes as long as half of a model's weights.
  const { createAdaptorServer } = await import("@hono/node-server");
  const server = createAdaptorServer({ fetch, serverOptions: SERVER_BOUNDS });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.hostname, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: listenUrl(options.hostname, port),
    async close(graceMs = 0): Promise<void> {
      const breakOff = (): void => {
        if ("closeAllConnections" in server) server.closeAllConnections();
      };
      // Ends connections that nothing is open on, too.
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const timer = graceMs > 0 ? setTimeout(breakOff, graceMs) : breakOff();
      await closed;
      clearTimeout(timer ?? undefined);
    },
  };
}
