/** Threads of Node. */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import type { Host } from "../host/host.ts";

/** `file` is thread.ts as it was built: Node 20 runs no TypeScript. */
export function createThreads(file: URL): Host["threads"] {
  return {
    cores: availableParallelism(),
    spawn({ onMessage, onEnd }) {
      // Loaded only here: most starts have one thread, and would load it in 2 ms.
      const { Worker }: typeof import("node:worker_threads") = createRequire(import.meta.url)(
        "node:worker_threads",
      );
      // Options of this process may name files that only it can load.
      const worker = new Worker(file, { execArgv: [] });
      worker.on("message", onMessage);
      worker.on("messageerror", () => onEnd("a message could not be read"));
      worker.on("error", (error) => onEnd(error instanceof Error ? error.message : String(error)));
      worker.on("exit", () => onEnd("it ended"));
      return {
        post: (message) => worker.postMessage(message),
        terminate: () => void worker.terminate(),
        unref: () => worker.unref(),
      };
    },
  };
}
