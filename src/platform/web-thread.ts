/** Web workers as threads. */
import type { Thread, ThreadEvents } from "../backends/wasm/threads/thread-host.ts";

/** Bun's workers can be kept from holding their process. */
type UnrefWorker = Worker & { unref?(): void };

/** A worker that has just been made of thread.ts. */
export function webThread(worker: UnrefWorker, { onMessage, onEnd }: ThreadEvents): Thread {
  worker.addEventListener("message", ({ data }) => onMessage(data));
  worker.addEventListener("messageerror", () => onEnd("a message could not be read"));
  worker.addEventListener("error", (event) => {
    event.preventDefault(); // Deno would end the process
    onEnd(event.message || "its file could not be loaded");
  });
  worker.addEventListener("close", () => onEnd("it ended")); // Bun
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
    unref: () => worker.unref?.(),
  };
}
