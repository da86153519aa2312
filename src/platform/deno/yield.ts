import { setImmediate } from "node:timers";

/** A macrotask: sockets are served before the next one. A timer of 0 ms would take 2 ms. */
export function yieldTask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
