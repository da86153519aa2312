/** How wide WebAssembly's vectors are to be, and what a runtime without a choice answers. */
import type { VectorWidth } from "../../backends/wasm/kernel-variants.ts";
import { PronkError } from "../../errors.ts";

/** Bits; "auto" is 256 where it is known to be right and fast. */
export type SimdWidth = "auto" | 128 | 256;

/** Host.setSimdWidth of Deno and Bun: V8's flag does nothing in the one, the other has no V8. */
export function fixedSimdWidth(runtime: string): (asked: SimdWidth) => VectorWidth {
  return (asked) => {
    if (asked !== 256) return { bits: 128 };
    throw new PronkError("unsupported", `simdWidth 256: not on ${runtime}`);
  };
}
