/** What a connection may take of Node's HTTP server before there is a request that can be refused. */
import type { ServerOptions } from "node:http";

/**
 * Milliseconds for a request's head, and for all of it: Node's own are a minute and five, which a client that sends a byte
 * now and then fills with thousands of connections. A body is 1 MiB at most: half a minute is 35 KB a second.
 */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;

/** How often both are looked at; Node's own is half a minute. */
const CHECK_MS = 2_000;

/**
 * Of a connection without a request. Longer than proxies keep theirs (nginx and AWS's load balancers a minute): who closes
 * first must be the one that asks, else a request meets a connection that is being closed.
 */
const KEEP_ALIVE_MS = 65_000;

/** Connections at a time; a stream is one, and slots and queue are some dozens. Beyond it new ones are closed at once. */
export const MAX_CONNECTIONS = 4096;

/** Options of http.createServer. */
export const SERVER_BOUNDS: ServerOptions = {
  headersTimeout: HEADERS_MS,
  requestTimeout: REQUEST_MS,
  connectionsCheckingInterval: CHECK_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
};
