/**
 * fetch through HTTPS_PROXY, as other tools understand it; Node's own ignores it. GET of https URLs
 * goes through a CONNECT tunnel, everything else through Node's fetch.
 *
 * Source: RFC 9110, section 9.3.6; NO_PROXY as in curl: hosts and domains, separated by commas.
 */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import { PronkError } from "../../errors.ts";
import type { Environment } from "../host/cache-folder.ts";

export interface ProxyFetchOptions {
  /** Certificates to trust instead of Node's own. */
  readonly ca?: string;
}

/** Node's own fetch where no proxy is set. */
export function createProxyFetch(
  env: Environment,
  { ca }: ProxyFetchOptions = {},
): typeof globalThis.fetch {
  const setting = env.HTTPS_PROXY || env.https_proxy;
  if (!setting) return globalThis.fetch;
  const text = setting.includes("://") ? setting : `http://${setting}`;
  if (!URL.canParse(text)) {
    // Said when it is used: most commands need no network. The value may hold a password.
    return () => Promise.reject(new PronkError("bad_request", "HTTPS_PROXY: not a URL"));
  }
  const proxy = new URL(text);
  const direct = (env.NO_PROXY || env.no_proxy || "").split(",").map((name) => name.trim());
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? "GET";
    if (url.protocol !== "https:" || method !== "GET" || isDirect(url.hostname, direct)) {
      return globalThis.fetch(input, init);
    }
    const signal = init?.signal ?? undefined;
    const socket = await openTunnel(proxy, url, signal);
    return getThrough(socket, url, new Headers(init?.headers), ca, signal);
  };
}

function isDirect(host: string, direct: readonly string[]): boolean {
  return direct.some((name) => {
    const domain = name.replace(/^\*?\./, "");
    return name === "*" || (domain !== "" && (host === domain || host.endsWith(`.${domain}`)));
  });
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
