/** Threads of a page or a worker, where it may share memory with them. */
import type { ThreadHost } from "../../backends/wasm/threads/thread-host.ts";
import { webThread } from "../web-thread.ts";
import { readKernels } from "./kernels.ts";

/** Or why there are none. */
export function createThreads(): ThreadHost | string {
  if (typeof Worker === "undefined") return "there are no workers here";
  // Not in every runtime's types.
  const page = globalThis as { readonly crossOriginIsolated?: boolean };
  if (!page.crossOriginIsolated) {
    return "the page is not cross-origin isolated: it needs the headers COOP and COEP";
  }
  return {
    cores: navigator.hardwareConcurrency,
    readKernels,
    // Literal, from the build's folder: bundlers look for exactly this form.
    spawn: (events) =>
      webThread(new Worker(new URL("../thread.js", import.meta.url), { type: "module" }), events),
  };
}
