/** A real HTTP server for tests: each path has an answer, every request is recorded. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface FileServer {
  readonly url: string;
  /** `path range authorization`, in order; "-" for what was not sent. */
  readonly requests: string[];
  readonly routes: Map<string, Answer>;
  close(): Promise<void>;
}

export async function startFileServer(): Promise<FileServer> {
  const routes = new Map<string, Answer>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const { range = "-", authorization = "-" } = request.headers;
    requests.push(`${request.url} ${range} ${authorization}`);
    const answer = routes.get((request.url ?? "").split("?")[0]);
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    routes,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Serves bytes with ranges, as object storage does. */
export function serveBytes(bytes: Uint8Array, isTagged = true): Answer {
  return (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? Number.NaN);
    if (Number.isNaN(start)) {
      const etag = isTagged ? { etag: '"v1"' } : {};
      response.writeHead(200, { "content-length": bytes.length, ...etag }).end(bytes);
    } else if (start >= bytes.length) {
      response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
    } else {
      const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
      response
        .writeHead(206, { "content-length": bytes.length - start, "content-range": range })
        .end(bytes.subarray(start));
    }
  };
}

/** Like `inner`, but the first `times` answers break off after `count` bytes of the body. */
export function breakOff(bytes: Uint8Array, count: number, times: number): Answer {
  const whole = serveBytes(bytes);
  let broken = 0;
  return (request, response) => {
    if (broken++ >= times) return whole(request, response);
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(start > 0 ? 206 : 200, {
      "content-length": bytes.length - start,
      ...(start > 0 && { "content-range": range }),
    });
    response.write(bytes.subarray(start, start + count), () => response.destroy());
  };
}
