/** Who may connect to a stage. */
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type StageServer, serveStage } from "../../../src/platform/host/stage-socket.ts";
import { StageHost } from "../../../src/stages/stage-host.ts";

let server: StageServer;
afterEach(() => server.close());

async function connects(headers: Record<string, string>, key?: string): Promise<boolean> {
  const host = new StageHost(() => Promise.reject(new Error("no stage")));
  server = await serveStage(host, { hostname: "127.0.0.1", port: 0 }, key);
  const socket = new WebSocket(server.url, { headers });
  return new Promise((resolve) => {
    socket.on("open", () => {
      socket.close();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

test("a front, with the key where there is one", async () => {
  expect(await connects({})).toBe(true);
  await server.close();
  expect(await connects({ authorization: "Bearer right" }, "right")).toBe(true);
});

test.each([{}, { authorization: "Bearer wrong" }, { authorization: "Bearer righ" }])(
  "nobody with %j where there is a key",
  async (headers) => expect(await connects(headers as Record<string, string>, "right")).toBe(false),
);

test.each(["https://evil.example", "null", "http://localhost:8787"])(
  "no page, whoever reads it here: %s",
  async (origin) => expect(await connects({ origin })).toBe(false),
);
