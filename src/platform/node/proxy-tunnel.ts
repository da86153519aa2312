/** GET of an https URL through a proxy's CONNECT tunnel. Source: RFC 9110, section 9.3.6. */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { connect as tlsConnect } from "node:tls";

export interface TunnelOptions {
  /** Certificates to trust instead of Node's own. */
  readonly ca?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws Error naming the proxy, never its password; and as node:https does. */
export async function getThroughProxy(
  proxy: URL,
  url: URL,
  headers: Headers,
  { ca, signal }: TunnelOptions,
): Promise<Response> {
  const socket = await openTunnel(proxy, url, signal);
  return getThrough(socket, url, headers, ca, signal);
}

async function openTunnel(proxy: URL, url: URL, signal: AbortSignal | undefined): Promise<Socket> {
  const target = `${url.hostname}:${url.port || 443}`;
  const user = decodeURIComponent(proxy.username);
  const credentials = Buffer.from(`${user}:${decodeURIComponent(proxy.password)}`);
  const headers = {
    host: target,
    ...(user && { "proxy-authorization": `Basic ${credentials.toString("base64")}` }),
  };
  const request = proxy.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const asked = request({
      hostname: proxy.hostname,
      port: proxy.port || (proxy.protocol === "https:" ? 443 : 80),
      method: "CONNECT",
      path: target,
      headers,
      agent: false,
      signal,
    });
    asked.once("connect", ({ statusCode }, socket) => {
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answered ${statusCode}`));
    });
    asked.once("error", (cause) => reject(new Error(`proxy ${proxy.host}`, { cause })));
    asked.end();
  });
}

async function getThrough(
  socket: Socket,
  url: URL,
  headers: Headers,
  ca: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, {
      headers: Object.fromEntries(headers),
      signal,
      // Only heard where no agent is named.
      createConnection: () => tlsConnect({ socket, servername: url.hostname, ca }),
    });
    request.once("response", (incoming) => {
      const found = new Headers();
      for (const [name, value] of Object.entries(incoming.headers)) {
        if (value !== undefined) found.set(name, String(value));
      }
      const body = Readable.toWeb(incoming) as ReadableStream<Uint8Array>;
      resolve(new Response(body, { status: incoming.statusCode, headers: found }));
    });
    request.once("error", reject);
    request.end();
  });
}
