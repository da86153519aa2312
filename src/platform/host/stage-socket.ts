/** Stages over WebSocket between hosts: a connection is a session, a binary message a frame of the protocol. */
import { timingSafeEqual } from "node:crypto";
import { PronkError } from "../../errors.ts";
import type { StageChannel } from "../../stages/remote-stage.ts";
import { MAX_FRAME_BYTES } from "../../stages/stage-frames.ts";
import type { StageHost } from "../../stages/stage-host.ts";
import type { ListenOptions } from "./host.ts";
import { keepAlive } from "./keep-alive.ts";
import { listenUrl } from "./listen-url.ts";

/** A side that is gone without a word is noticed after two of them, and its slots are free again. */
const PING_MS = 15_000;

const CONNECT_TIMEOUT_MS = 10_000;

/** The largest chunk of a prompt on a slow machine. */
const ANSWER_TIMEOUT_MS = 300_000;

export interface StageServer {
  /** `ws://127.0.0.1:8790` */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * @param key what fronts have to show, where given.
 * @throws the system's error, with its code: EADDRINUSE.
 */
export async function serveStage(
  host: StageHost,
  { hostname, port }: ListenOptions,
  key: string | undefined,
): Promise<StageServer> {
  const { WebSocketServer } = await import("ws");
  const server = new WebSocketServer({
    host: hostname,
    port,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    // Fronts send no origin; browsers always do, and ask nobody before they connect to another site's server.
    verifyClient: ({ req: { headers } }) =>
      headers.origin === undefined && isAllowed(headers.authorization, key),
  });
  await new Promise<void>((resolve, reject) => {
    server.on("listening", resolve);
    server.on("error", reject);
  });
  server.on("connection", (socket) => {
    const session = host.connect();
    const stop = keepAlive(socket, { everyMs: PING_MS });
    let last: Promise<void> = Promise.resolve();
    socket.on("message", (data) => {
      // One after the other, also for a side that does not wait.
      last = last.then(async () => socket.send(await session.answer(data))).catch(() => undefined);
    });
    socket.on("error", () => socket.terminate());
    socket.on("close", () => {
      stop();
      session.close();
    });
  });
  return {
    url: listenUrl(hostname, server.address().port).replace(/^http/, "ws"),
    close: () =>
      new Promise((resolve) => {
        for (const socket of server.clients) socket.terminate();
        server.close(resolve);
      }),
  };
}

function isAllowed(header: string | undefined, key: string | undefined): boolean {
  if (key === undefined) return true;
  const given = new TextEncoder().encode(header ?? "");
  const wanted = new TextEncoder().encode(`Bearer ${key}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** @throws PronkError "source_failed" when nothing answers, or refuses. */
export async function connectStage(url: string, key: string | undefined): Promise<StageChannel> {
  const { WebSocket } = await import("ws");
  const socket = new WebSocket(url, {
    ...(key !== undefined && { headers: { authorization: `Bearer ${key}` } }),
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    handshakeTimeout: CONNECT_TIMEOUT_MS,
  });
  let waiting: { resolve(bytes: Uint8Array): void; reject(error: unknown): void } | undefined;
  let lost: PronkError | undefined;
  const lose = (why: string): void => {
    lost ??= new PronkError("source_failed", why);
    waiting?.reject(lost);
    waiting = undefined;
  };
  await new Promise<void>((resolve, reject) => {
    socket.on("open", resolve);
    const refuse = (why: string): void => {
      lose(why);
      reject(new PronkError("source_failed", `${url}: ${why}`));
    };
    socket.on("error", (error) => refuse(error.message));
    socket.on("close", () => refuse("the connection was closed"));
  });
  // An answer that is waited for has its own time.
  const stop = keepAlive(socket, { everyMs: PING_MS, isPatient: () => waiting !== undefined });
  socket.on("close", stop);
  socket.on("message", (data) => {
    waiting?.resolve(data);
    waiting = undefined;
  });
  return {
    async send(message) {
      if (lost) throw lost;
      if (waiting) throw new PronkError("bad_request", "stage: a message is under way");
      let timer: ReturnType<typeof setTimeout> | undefined;
      try {
        return await new Promise<Uint8Array>((resolve, reject) => {
          waiting = { resolve, reject };
          timer = setTimeout(() => {
            lose(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`);
            socket.terminate();
          }, ANSWER_TIMEOUT_MS);
          socket.send(message);
        });
      } finally {
        clearTimeout(timer);
      }
    },
    close() {
      stop();
      lose("closed");
      socket.close();
    },
  };
}
