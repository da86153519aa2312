/** The same over real WebSockets, between any two hosts. */
import { createRequire } from "node:module";
import { expect, onTestFinished, test } from "vitest";
import type { LocalEngine } from "../../../src/engine/create-engine.ts";
import { openRemoteEngine } from "../../../src/remote/remote-engine.ts";
import { serveEngine } from "../../../src/remote/serve-engine.ts";
import { type WebSocketLike, webSocketChannel } from "../../../src/remote/web-socket-channel.ts";
import { createApp } from "../../../src/server/app.ts";
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

/** An engine behind a real WebSocket, until the test has ended. */
async function overSockets(engine: LocalEngine) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onTestFinished(() => server.close());
  await new Promise<void>((resolve) => server.on("listening", resolve));
  const seen = { connections: 0 };
  server.on("connection", (socket) => {
    seen.connections++;
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
  return { remote, server, url, seen };
}

test("an engine behind a WebSocket, whose connection breaks in mid-stream", async () => {
  const { engine } = toyEngine();
  const { remote, server, url, seen } = await overSockets(engine);
  const expected = await collect(engine.stream(request));
  const parts = [];
  for await (const part of remote.stream(request)) {
    parts.push(part);
    if (parts.length === 5) for (const socket of server.clients) socket.terminate();
  }
  expect(parts).toEqual(expected);
  expect(seen.connections).toBe(3);
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

test("two keys of a server whose engine is behind a WebSocket share no prefix, also where it breaks", async () => {
  const sizes = { slots: 3, ctx: 256, maxRows: 16 };
  const { engine } = toyEngine(sizes);
  const prompt = Array.from({ length: 70 }, (_, i) => 1 + ((i * 13) % 60));
  // What is loaded there is everybody's.
  await engine.loadSnapshot(await engine.saveSnapshot({ prompt_ids: prompt.slice(0, 20) }));
  const { remote, server } = await overSockets(engine);
  const keys = ["alice-key", "bob-key"];
  const app = createApp({ engine: remote, auth: { keys } });
  const ask = async (key: string, more: object = {}, of = app) => {
    const body = { model: "toy", prompt, max_tokens: 4, temperature: 0, ...more };
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const { choices, usage } = await (await of.request("/v1/completions", init)).json();
    return { text: choices[0].text, cached: usage.prompt_tokens_details.cached_tokens };
  };
  const { text } = await ask("alice-key");
  const seen = [
    await ask("bob-key"),
    await ask("alice-key"),
    await ask("bob-key", { cache_salt: "s" }),
    await ask("bob-key", { cache_salt: "s" }),
  ];
  expect(seen).toEqual([20, 69, 20, 69].map((cached) => ({ text, cached })));
  const shared = createApp({ engine: remote, auth: { keys }, sharePrefixCache: true });
  expect((await ask("alice-key", {}, shared)).cached).toBe(20);
  expect((await ask("bob-key", {}, shared)).cached).toBe(69);

  // The next try has the salt, too: what it reads again is its own.
  const before = engine.stats().cached_tokens;
  const expected = await collect(
    toyEngine(sizes).engine.stream({ ...request, prompt_ids: prompt }),
  );
  const parts = [];
  const call = { cacheSalt: "carol" };
  for await (const part of remote.stream({ ...request, prompt_ids: prompt }, call)) {
    parts.push(part);
    if (parts.length === 5) for (const socket of server.clients) socket.terminate();
  }
  expect(parts).toEqual(expected);
  expect(engine.stats().cached_tokens - before).toBe(20 + prompt.length);
  for (const cacheSalt of ["", 5, {}] as string[]) {
    const refused = { code: "bad_request", param: "cacheSalt" };
    await expect(remote.generate(request, { cacheSalt })).rejects.toMatchObject(refused);
    await expect(remote.embed([[1, 2]], { cacheSalt })).rejects.toMatchObject(refused);
  }
});
