/** Clients that send slowly, or nothing, do not hold Node's server for long. */
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { serve } from "../../../src/platform/node/serve.ts";

interface Connection {
  readonly socket: Socket;
  /** All that came, when it is closed. */
  readonly closed: Promise<string>;
  /** As soon as the next bytes come. */
  next(): Promise<string>;
}

/** A server that answers with the body, and connections to it. */
async function withServer(
  run: (open: (text: string) => Connection, url: string) => Promise<void>,
): Promise<void> {
  const server = await serve(async (request) => new Response(await request.text()), {
    hostname: "127.0.0.1",
    port: 0,
  });
  const { hostname, port } = new URL(server.url);
  const sockets: Socket[] = [];
  const open = (text: string): Connection => {
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    let received = "";
    socket.setEncoding("utf8").on("data", (chunk) => {
      received += chunk;
    });
    socket.on("error", () => {});
    socket.write(text);
    return {
      socket,
      closed: new Promise((resolve) => socket.once("close", () => resolve(received))),
      next: () => new Promise((resolve) => socket.once("data", (chunk) => resolve(String(chunk)))),
    };
  };
  try {
    await run(open, server.url);
  } finally {
    for (const socket of sockets) socket.destroy();
    await server.close();
  }
}

const ASK = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na";

/** The bound that is waited for is ten seconds; a machine that is busy takes longer. */
const LIMIT_MS = 60_000;

describe.concurrent("on Node", () => {
  test(
    "a head that drips is answered with 408 and closed, and others are served meanwhile",
    async () => {
      await withServer(async (open, url) => {
        const begun = "POST / HTTP/1.1\r\nHost: a\r\nX-A: ";
        const slow = Array.from({ length: 20 }, () => open(begun));
        const dripping = setInterval(() => {
          for (const { socket } of slow) if (!socket.destroyed) socket.write("a");
        }, 500);
        const answer = await fetch(url, { method: "POST", body: "hello" });
        expect(await answer.text()).toBe("hello");
        const ends = await Promise.all(slow.map(({ closed }) => closed));
        clearInterval(dripping);
        for (const end of ends) expect(end).toMatch(/^HTTP\/1\.1 408 /);
      });
    },
    LIMIT_MS,
  );

  test(
    "an idle connection is not closed before a proxy would",
    async () => {
      await withServer(async (open) => {
        const idle = open(ASK);
        expect(await idle.next()).toMatch(/^HTTP\/1\.1 200 /);
        // Node's own bound is five seconds; proxies have a minute.
        const state = await Promise.race([
          idle.closed.then(() => "closed"),
          new Promise((resolve) => setTimeout(() => resolve("open"), 8_000)),
        ]);
        expect(state).toBe("open");
      });
    },
    LIMIT_MS,
  );

  test(
    "connections beyond the bound are closed at once, and those that are there are served",
    async () => {
      await withServer(async (open) => {
        const first = open(ASK);
        expect(await first.next()).toMatch(/^HTTP\/1\.1 200 /);
        const more = Array.from({ length: 4200 }, () => open(""));
        const closed = await Promise.race(more.map((one) => one.closed.then(() => "closed")));
        expect(closed).toBe("closed");
        const answer = first.next();
        first.socket.write(ASK);
        expect(await answer).toMatch(/^HTTP\/1\.1 200 /);
      });
    },
    LIMIT_MS,
  );
});
