/** What a runtime with files and sockets supplies; Node, Deno and Bun do, each in its own folder. */
import type { VectorWidth } from "../../backends/wasm/kernel-variants.ts";
import type { ThreadHost } from "../../backends/wasm/threads/thread-host.ts";
import type { Runtime } from "../../engine/runtime.ts";
import type { SimdWidth } from "./simd-width.ts";

export interface Host {
  readonly name: "node" | "deno" | "bun";
  /** The runtime's own version: `20.20.2`. */
  readonly version: string;
  /** Reads a whole small file. */
  readFile(path: string | URL): Promise<Uint8Array>;
  openFile(path: string): Promise<OpenFile>;
  /** Through HTTPS_PROXY where that is set. */
  readonly fetch: typeof globalThis.fetch;
  yieldTask: Runtime["yieldTask"];
  readonly threads: Pick<ThreadHost, "cores" | "spawn">;
  /** Where there may be a GPU, or why there is none. */
  readonly gpu: NonNullable<Runtime["gpu"]>;
  /**
   * Makes WebAssembly that is compiled from now on use vectors of this width.
   *
   * @throws PronkError "unsupported" when 256 is asked for and cannot be.
   */
  setSimdWidth(asked: SimdWidth): VectorWidth;
  /** Listens until closed. @throws the system's error, with its code: EADDRINUSE. */
  serve(fetch: FetchHandler, options: ListenOptions): Promise<HttpServer>;
}

export type FetchHandler = (request: Request) => Response | Promise<Response>;

export interface ListenOptions {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface HttpServer {
  /** `http://127.0.0.1:8787` */
  readonly url: string;
  /**
   * Stops listening, and breaks off what is open.
   *
   * @param graceMs what was answered has so long to reach its client first; default 0.
   */
  close(graceMs?: number): Promise<void>;
}

/** Positional reads of one file; several may be in flight. */
export interface OpenFile {
  readonly size: number;
  /** Reads up to destination.length bytes; 0 at the end of the file. */
  read(destination: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}
