/** A channel over a WebSocket, of any runtime: it is open, or accepted, when it comes here. */
import type { Channel } from "./channel.ts";
import { decodeFrame, encodeFrame } from "./frames.ts";

/** What is used of WebSocket. */
export interface WebSocketLike {
  binaryType?: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close" | "error", listener: () => void): void;
}

const NORMAL_CLOSURE = 1000;

export function webSocketChannel(socket: WebSocketLike): Channel {
  let isClosed = false;
  let onClosed: (() => void) | undefined;
  const end = (): void => {
    if (isClosed) return;
    isClosed = true;
    try {
      // The other side's close has to be answered, and what failed to be let go of.
      socket.close(NORMAL_CLOSURE);
    } catch {
      // It is closed already.
    }
    onClosed?.();
  };
  socket.addEventListener("close", end);
  socket.addEventListener("error", end);
  return {
    send(message) {
      if (isClosed) return;
      const frame = encodeFrame(message);
      try {
        socket.send(frame);
      } catch {
        end(); // closed, and its event is yet to come
      }
    },
    listen({ message, closed }) {
      onClosed = closed;
      if (isClosed) closed();
      socket.binaryType = "arraybuffer";
      socket.addEventListener("message", ({ data }) => {
        if (isClosed) return;
        try {
          message(decodeFrame(typeof data === "string" ? data : bytesOf(data)));
        } catch {
          end(); // no peer of ours
        }
      });
    },
    close: end,
  };
}

function bytesOf(data: unknown): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw new TypeError("a frame of another kind");
}
