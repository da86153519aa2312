import { createRequire } from "node:module";

/**
 * For a process that is the model's own: does without V8's middle compiler of JavaScript, which takes 2.6 MB.
 * What is hot here is WebAssembly; the rest waits for the last compiler.
 */
export function spareMemory(): void {
  const v8: typeof import("node:v8") = createRequire(import.meta.url)("node:v8");
  v8.setFlagsFromString("--no-maglev");
}
