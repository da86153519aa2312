/** The part of `ws` that is used here. */
declare module "ws" {
  import type { IncomingMessage } from "node:http";

  interface SocketOptions {
    readonly headers?: Readonly<Record<string, string>>;
    readonly maxPayload?: number;
    readonly perMessageDeflate?: boolean;
    readonly handshakeTimeout?: number;
    readonly autoPong?: boolean;
  }

  export class WebSocket {
    constructor(url: string, options?: SocketOptions);
    on(event: "open" | "ping" | "pong" | "close", listener: () => void): void;
    on(event: "error", listener: (error: Error) => void): void;
    on(event: "message", listener: (data: Uint8Array, isBinary: boolean) => void): void;
    on(
      event: "unexpected-response",
      listener: (request: unknown, response: IncomingMessage) => void,
    ): void;
    send(data: Uint8Array): void;
    ping(): void;
    close(): void;
    terminate(): void;
    readonly readyState: number;
    readonly OPEN: number;
  }

  export class WebSocketServer {
    constructor(options: {
      readonly host: string;
      readonly port: number;
      readonly maxPayload?: number;
      readonly perMessageDeflate?: boolean;
      readonly verifyClient?: (info: { readonly req: IncomingMessage }) => boolean;
    });
    on(event: "connection", listener: (socket: WebSocket) => void): void;
    on(event: "error", listener: (error: Error) => void): void;
    on(event: "listening", listener: () => void): void;
    address(): { readonly port: number };
    readonly clients: ReadonlySet<WebSocket>;
    close(done?: () => void): void;
  }
}
