/** The same over real WebSockets, between any two hosts. */
import { createRequire } from "node:module";
import { expect, onTestFinished, test } from "vitest";
import { openRemoteEngine } from "../../../src/remote/remote-engine.ts";
import { serveEngine } from "../../../src/remote/serve-engine.ts";
import { type WebSocketLike, webSocketChannel } from "../../../src/remote/web-socket-channel.ts";
import { collect, settle, toyEngine } from "../engine/toy-engine.ts";
import { toyTokenizer } from "../engine/toy-tokenizer.ts";

interface Socket extends WebSocketLike {
  on(event: "open", run: () => void): void;
  on(event: "error", run: (error: Error) => void): void;
  terminate(): void;
}
/** Miniflare's own: Node 20 has none. */
const { WebSocket, WebSocketServer } = createRequire(
  createRequire(import.meta.url).resolve("miniflare"),
)("ws") as {
  WebSocket: new (url: string) => Socket;
  WebSocketServer: new (options: {
    port: number;
    host: string;
  }) => {
    on(event: "connection", run: (socket: Socket) => void): void;
    on(event: "listening", run: () => void): void;
    address(): { port: number };
    readonly clients: Set<Socket>;
    close(): void;
  };
};

const request = { prompt_ids: [1, 2, 3], seed: 3, max_tokens: 60, ignore_eos: true };

test("an engine behind a WebSocket, whose connection breaks in mid-stream", async () => {
  const { engine } = toyEngine();
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onTestFinished(() => server.close());
  await new Promise<void>((resolve) => server.on("listening", resolve));
  let connections = 0;
  server.on("connection", (socket) => {
    connections++;
    void serveEngine(webSocketChannel(socket), { engine: async () => engine });
  });
  const url = `ws://127.0.0.1:${server.address().port}`;
  const connect = async () => {
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
    });
    return webSocketChannel(socket);
  };
  const remote = await openRemoteEngine({
    ...{ peers: [{ name: url, connect }], tokenizer: toyTokenizer(), template: undefined },
    ...{ now: () => performance.now(), randomSeed: () => 1 },
  });
  const expected = await collect(engine.stream(request));
  const parts = [];
  for await (const part of remote.stream(request)) {
    parts.push(part);
    if (parts.length === 5) for (const socket of server.clients) socket.terminate();
  }
  expect(parts).toEqual(expected);
  expect(connections).toBe(3);
  // Bytes pass as they are.
  const snapshot = await remote.saveSnapshot({ prompt_ids: [1, 2, 3] });
  expect(snapshot).toEqual(await engine.saveSnapshot({ prompt_ids: [1, 2, 3] }));

  // What is said in another language ends the connection, and nothing else.
  const stranger = new WebSocket(url);
  await new Promise<void>((resolve) => stranger.on("open", resolve));
  const closed = new Promise<void>((resolve) => stranger.addEventListener("close", resolve));
  stranger.send("{");
  await closed;
  await settle();
  expect((await remote.generate({ ...request, max_tokens: 3 })).ids).toHaveLength(3);
});
