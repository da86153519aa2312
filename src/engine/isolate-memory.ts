/**
 * An isolate of a Worker counts WebAssembly memory and JavaScript's together, and is ended when it passes
 * its limit. What the planned memory does not hold is measured: tests/e2e/workerd-memory.test.ts.
 */
import type { MemoryUse } from "../backends/backend.ts";

/** Bytes of a Worker's isolate. */
export const ISOLATE_BYTES = 128_000_000;

/**
 * JavaScript at its peak, garbage included: the script and what is compiled of it, 3 MB; the tokenizer and its
 * scratch, 3.4; manifest, templates, grammar and requests with what is not collected yet, 6.
 */
const ISOLATE_HEAP_BYTES = 13_000_000;

/** Kept free, since an isolate that is ended has to load everything again. */
const RESERVE_BYTES = 7_000_000;

/** Of an isolate's bytes, those that are not the kernels'. */
export const ISOLATE_RESERVED_BYTES: number = ISOLATE_HEAP_BYTES + RESERVE_BYTES;

/** What an isolate with this model takes at its peak. */
export function isolateBytes({ total }: Pick<MemoryUse, "total">): number {
  return total + ISOLATE_HEAP_BYTES;
}
