import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type KeepAlive, keepAlive } from "../../../src/platform/host/keep-alive.ts";

const EVERY_MS = 100;

let server: WebSocketServer;
beforeEach(async () => {
  server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await new Promise((resolve) => server.on("listening", () => resolve(undefined)));
});
afterEach(() => {
  for (const socket of server.clients) socket.terminate();
  server.close();
});

/** A connection, and the side of the server, which asks. */
async function connect(autoPong: boolean, more: Partial<KeepAlive> = {}) {
  const accepted = new Promise<WebSocket>((resolve) => server.on("connection", resolve));
  const { port } = server.address();
  const client = new WebSocket(`ws://127.0.0.1:${port}`, { autoPong });
  const asking = await accepted;
  const closed = new Promise<void>((resolve) => asking.on("close", resolve));
  keepAlive(asking, { everyMs: EVERY_MS, ...more });
  return { client, asking, closed };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("who answers stays", async () => {
  const { asking } = await connect(true);
  await wait(6 * EVERY_MS);
  expect(asking.readyState).toBe(asking.OPEN);
});

test("who is silent is let go, but not while an answer is waited for", async () => {
  let isWaiting = true;
  const { asking, closed } = await connect(false, { isPatient: () => isWaiting });
  await wait(6 * EVERY_MS);
  expect(asking.readyState).toBe(asking.OPEN);
  isWaiting = false;
  await closed;
});

test("who has not read for computing looks for the answer before it lets go", async () => {
  const { client, asking } = await connect(true);
  await new Promise<void>((resolve) => {
    // The answer is sent when this is told, and read after the next look.
    client.on("ping", () => {
      const until = performance.now() + 3 * EVERY_MS;
      while (performance.now() < until);
      resolve();
    });
  });
  await wait(6 * EVERY_MS);
  expect(asking.readyState).toBe(asking.OPEN);
});
