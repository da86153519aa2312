/** A host of files for the page whose model runs in its tab: what it sends, how fast, and until when is the test's to say. */
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

const PIECE_BYTES = 1 << 18;

export interface PageServerOptions {
  /** Whether the page may share memory with its workers. Default true: as `_headers` says. */
  readonly isolated?: boolean;
}

export interface PageServer {
  readonly url: string;
  /** Of the model's shards, so far. */
  readonly sentBytes: number;
  /** Of them from now on; undefined: as fast as it goes. */
  bytesPerSecond: number | undefined;
  /** Ends every connection, and refuses new ones. */
  close(): Promise<void>;
}

/** @param folder as `pronk page` writes it, with the headers that it asks its host to send. */
export async function servePage(
  folder: string,
  { isolated = true }: PageServerOptions = {},
): Promise<PageServer> {
  const headers = headersOf(readFileSync(join(folder, "_headers"), "utf8"));
  const state = { sentBytes: 0, bytesPerSecond: undefined as number | undefined };

  const send = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? "/", "http://127.0.0.1");
    const name = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const path = join(folder, normalize(decodeURIComponent(name)));
    const isInside = path.startsWith(folder + sep);
    const stat = isInside ? statSync(path, { throwIfNoEntry: false }) : undefined;
    for (const [header, value] of headers(pathname)) {
      if (isolated || !header.startsWith("cross-origin-")) response.setHeader(header, value);
    }
    if (!stat?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const start = Number(from ?? 0);
    const end = to ? Math.min(Number(to) + 1, stat.size) : stat.size;
    response.writeHead(from === undefined ? 200 : 206, {
      "content-type": TYPES[extname(path)] ?? "application/octet-stream",
      "content-length": end - start,
      "accept-ranges": "bytes",
      ...(from !== undefined && { "content-range": `bytes ${start}-${end - 1}/${stat.size}` }),
    });
    if (request.method === "HEAD" || start === end) {
      response.end();
      return;
    }
    const isShard = path.endsWith(".bin");
    const pieces = createReadStream(path, { start, end: end - 1, highWaterMark: PIECE_BYTES });
    for await (const piece of pieces as AsyncIterable<Buffer>) {
      if (response.destroyed) return;
      if (isShard) state.sentBytes += piece.length;
      const isTaken = response.write(piece);
      if (isShard && state.bytesPerSecond !== undefined) {
        await sleep((1000 * piece.length) / state.bytesPerSecond);
      } else if (!isTaken) await drained(response);
    }
    response.end();
  };

  const server = createServer((request, response) => {
    // A browser that has gone, or a page that wants no more of it, is nothing.
    send(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    get sentBytes() {
      return state.sentBytes;
    },
    get bytesPerSecond() {
      return state.bytesPerSecond;
    },
    set bytesPerSecond(value) {
      state.bytesPerSecond = value;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      response.off("drain", end).off("close", end);
      resolve();
    };
    response.once("drain", end).once("close", end);
  });
}

/** What a host reads from `_headers`: a path's pattern, and below it the headers of what it matches. */
function headersOf(text: string): (pathname: string) => [string, string][] {
  const rules: { pattern: RegExp; headers: [string, string][] }[] = [];
  for (const line of text.split("\n")) {
    const [, name, value] = /^\s+([^:]+): (.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) rules.at(-1)?.headers.push([name, value]);
    else if (line.startsWith("/")) {
      const parts = line
        .trim()
        .split("*")
        .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
      rules.push({ pattern: new RegExp(`^${parts.join(".*")}$`), headers: [] });
    }
  }
  return (pathname) =>
    rules.flatMap(({ pattern, headers }) => (pattern.test(pathname) ? headers : []));
}
