/** Notices that the other side of a WebSocket is gone without a word. */
import type { WebSocket } from "ws";

export interface KeepAlive {
  /** How often it is asked; without an answer to the last question the socket is ended. */
  readonly everyMs: number;
  /** Whether silence means nothing now: who computes answers no questions. Whoever says so has a limit of their own. */
  readonly isPatient?: () => boolean;
}

/** @returns what ends it. */
export function keepAlive(socket: WebSocket, { everyMs, isPatient }: KeepAlive): () => void {
  let isHeard = true;
  let lookedMs = performance.now();
  socket.on("pong", () => {
    isHeard = true;
  });
  const timer = setInterval(() => {
    const sinceMs = performance.now() - lookedMs;
    lookedMs += sinceMs;
    // Who has computed has read nothing meanwhile: the answer may lie there.
    const isLate = sinceMs > 1.5 * everyMs;
    if (!isHeard && !isLate && !isPatient?.()) {
      socket.terminate();
      return;
    }
    isHeard = false;
    socket.ping();
  }, everyMs);
  timer.unref?.();
  return () => clearInterval(timer);
}
