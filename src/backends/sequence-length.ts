import type { Span } from "./backend.ts";

/** Tokens of the span's sequence, as rotary scalings that depend on its length count them. */
export function sequenceLength({ start, count, positions, length }: Span): number {
  if (length !== undefined) return length;
  if (positions === undefined) return start + count;
  let highest = 0;
  for (let r = 0; r < count; r++) highest = Math.max(highest, positions[r]);
  return highest + 1;
}
