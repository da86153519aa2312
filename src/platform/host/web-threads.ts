/** Threads of Deno and Bun. */
import { webThread } from "../web-thread.ts";
import type { Host } from "./host.ts";

/** Deno and Bun run the sources as they are, where there are any. */
const FILE = import.meta.url.endsWith(".ts") ? "../thread.ts" : "../thread.js";

export const webThreads: Host["threads"] = {
  cores: navigator.hardwareConcurrency,
  spawn: (events) =>
    webThread(new Worker(new URL(FILE, import.meta.url), { type: "module" }), events),
};
