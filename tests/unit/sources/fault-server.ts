/** A real HTTP server of objects, with ranges and ETags, that fails on demand. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What one request meets instead of a plain answer. */
export type Fault =
  | { kind: "none" }
  | { kind: "status"; status: number; headers?: Record<string, string>; body?: string }
  /** Headers are lost with the connection after these bytes of the body. */
  | { kind: "reset"; after: number }
  /** The body stays open and brings nothing more. */
  | { kind: "stall"; after: number }
  /** Not even headers. */
  | { kind: "hang" }
  /** The body ends properly, too early, and its length was not announced. */
  | { kind: "truncate"; after: number }
  /** 200 and everything, whatever was asked; `announce` its length. */
  | { kind: "ignore-range"; announce?: boolean }
  /** These headers instead, for content-range and the like; undefined removes one. */
  | { kind: "headers"; headers: Record<string, string | undefined> }
  /** Chunks of so many bytes, 1 where nothing is said. */
  | { kind: "drip"; bytes?: number }
  | { kind: "redirect"; to: string };

export interface FaultServer {
  readonly url: string;
  /** By path without the leading slash. */
  readonly objects: Map<string, Uint8Array>;
  /** The next requests meet these, one each. */
  readonly faults: Fault[];
  /** Every request meets this when `faults` is empty. */
  always: Fault;
  readonly requests: {
    method: string;
    url: string;
    headers: IncomingMessage["headers"];
    /** The client's port: one a connection. */
    port: number | undefined;
    /** Whether the client took the whole answer (but for what buffers hold), once that is over. */
    taken: Promise<boolean>;
  }[];
  close(): Promise<void>;
}

export async function startFaultServer(): Promise<FaultServer> {
  const objects = new Map<string, Uint8Array>();
  const faults: Fault[] = [];
  const requests: FaultServer["requests"] = [];
  const server = createServer((request, response) => {
    requests.push({
      method: request.method ?? "",
      url: request.url ?? "",
      headers: request.headers,
      port: request.socket.remotePort,
      taken: new Promise((resolve) => {
        response.once("close", () => resolve(response.writableEnded));
      }),
    });
    answer(objects, faults.shift() ?? result.always, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const result: FaultServer = {
    url: `http://127.0.0.1:${port}`,
    objects,
    faults,
    always: { kind: "none" },
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return result;
}

function answer(
  objects: ReadonlyMap<string, Uint8Array>,
  fault: Fault,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (fault.kind === "hang") return;
  if (fault.kind === "status")
    return void response.writeHead(fault.status, fault.headers).end(fault.body ?? "no");
  if (fault.kind === "redirect") return void response.writeHead(302, { location: fault.to }).end();
  const { pathname } = new URL(request.url ?? "", "http://x");
  const object = objects.get(decodeURIComponent(pathname.slice(1)));
  if (!object) return void response.writeHead(404).end("no such object");

  const asked = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const ranged = asked !== null && fault.kind !== "ignore-range";
  const start = ranged ? Number(asked[1]) : 0;
  const end = ranged ? Math.min(Number(asked[2]) + 1, object.length) : object.length;
  const etag = `"${createHash("sha256").update(object).digest("hex").slice(0, 16)}"`;
  if (ranged && start >= object.length) {
    const headers = { "content-range": `bytes */${object.length}`, etag };
    return void response.writeHead(416, headers).end();
  }
  const body = object.subarray(start, end);
  const announced =
    fault.kind === "ignore-range" ? fault.announce !== false : fault.kind !== "truncate";
  const headers: Record<string, string | undefined> = {
    etag,
    "content-length": announced ? String(body.length) : undefined,
    "content-range": ranged ? `bytes ${start}-${end - 1}/${object.length}` : undefined,
    ...(fault.kind === "headers" && fault.headers),
  };
  const sent = Object.entries(headers).filter(([, value]) => value !== undefined);
  response.writeHead(ranged ? 206 : 200, Object.fromEntries(sent));
  sendBody(fault, body, response);
}

/** Bodies go out in pieces, each when the one before has left, so that taking them can stop. */
const PIECE_BYTES = 256 * 1024;

function sendBody(fault: Fault, body: Uint8Array, response: ServerResponse): void {
  switch (fault.kind) {
    case "reset":
      response.write(body.subarray(0, fault.after), () => response.destroy());
      response.flushHeaders();
      return;
    case "stall":
      response.flushHeaders();
      if (fault.after > 0) response.write(body.subarray(0, fault.after));
      return;
    case "truncate":
      response.end(body.subarray(0, fault.after));
      return;
    case "drip": {
      const { bytes = 1 } = fault;
      const next = (at: number): void => {
        if (at >= body.length) response.end();
        else response.write(body.subarray(at, at + bytes), () => setTimeout(next, 1, at + bytes));
      };
      next(0);
      return;
    }
    default: {
      const next = (at: number): void => {
        const end = at + PIECE_BYTES;
        if (end >= body.length) response.end(body.subarray(at));
        else response.write(body.subarray(at, end), () => next(end));
      };
      next(0);
    }
  }
}
