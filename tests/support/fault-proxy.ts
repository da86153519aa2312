/**
 * A proxy of our own in front of a server of objects. It passes requests on as they are, the host that was signed
 * included, and lets a fault answer instead, or spoil what came back. Objects of tests are small: answers are held whole.
 */
import {
  createServer,
  request as forward,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

/** What the server behind answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** One request, and what can be done with it. */
export interface Line {
  /** From 0, of this proxy. */
  readonly index: number;
  /** Without the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly response: ServerResponse;
  readonly proxy: FaultProxy;
  /** Asks the server behind; `headers` take the place of those that came, undefined removes one. */
  ask(headers?: Readonly<Record<string, string | undefined>>): Promise<Answer>;
  send(answer: Answer): void;
  /** Resolves when the client has gone, or the proxy closes. */
  readonly gone: Promise<void>;
}

export type Fault = (line: Line) => void | Promise<void>;

export interface FaultProxy {
  readonly url: string;
  /** Which fault a request meets; undefined: none. */
  choose: (line: Line) => Fault | undefined;
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  close(): Promise<void>;
}

const UPSTREAM_TIMEOUT_MS = 10_000;

/** @param server its URL. */
export async function startFaultProxy(server: string): Promise<FaultProxy> {
  const requests: FaultProxy["requests"] = [];
  const http = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname);
    response.on("error", () => undefined);
    const line: Line = {
      index: requests.push({ path, headers: request.headers }) - 1,
      path,
      headers: request.headers,
      response,
      proxy,
      ask: (headers) => askServer(server, request, headers),
      send: ({ status, headers, body }) => void response.writeHead(status, headers).end(body),
      gone: new Promise((resolve) => response.once("close", resolve)),
    };
    const fault = proxy.choose(line) ?? passOn;
    Promise.resolve(fault(line)).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${port}`,
    choose: () => undefined,
    requests,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return proxy;
}

export const passOn: Fault = async (line) => line.send(await line.ask());

function askServer(
  server: string,
  { method, url = "/", headers }: IncomingMessage,
  changed: Readonly<Record<string, string | undefined>> = {},
): Promise<Answer> {
  const all = Object.entries({ ...headers, connection: "close", ...changed });
  return new Promise((resolve, reject) => {
    const asked = forward(
      new URL(url, server),
      {
        method,
        headers: Object.fromEntries(all.filter(([, value]) => value !== undefined)),
        timeout: UPSTREAM_TIMEOUT_MS,
      },
      async (answer) => {
        const chunks: Uint8Array[] = [];
        try {
          for await (const chunk of answer) chunks.push(chunk);
        } catch (error) {
          return reject(error);
        }
        const { connection: _, "transfer-encoding": __, ...rest } = answer.headers;
        const body = new Uint8Array(Buffer.concat(chunks));
        const headers = { ...(rest as Record<string, string>) };
        resolve({ status: answer.statusCode ?? 502, headers, body });
      },
    );
    asked.once("timeout", () => asked.destroy(new Error("the server behind does not answer")));
    asked.once("error", reject);
    asked.end();
  });
}
