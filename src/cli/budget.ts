/** What an isolate's limit leaves for the kernels' memory. */

/**
 * Of a Worker's 128 MB: at most 14 for the JavaScript heap at its peak, 6 in reserve, since the
 * platform counts both and ends an isolate that passes the limit.
 */
const ISOLATE_HEAP_BYTES = 20_000_000;

/** Bytes of WebAssembly memory in an isolate of so many bytes. */
export function kernelBudget(isolateBytes: number): number {
  return Math.max(0, isolateBytes - ISOLATE_HEAP_BYTES);
}
