/** Which batches go through the GEMV row by row: those that would leave much of a GEMM's tiles of 4 rows empty. */
import type { KernelVariant } from "./activation-layout.ts";

/** More rows always go through the GEMM. */
export const FEW_ROWS = 11;

/**
 * For batches of 2 rows or more. The GEMM of `dot` multiplies a few tokens with packed weights: a tile takes as long as 2.5 to
 * 3.5 rows. The others unpack every weight first, which takes as long as a tile, so that they need two full ones.
 */
export function goesRowByRow(rows: number, variant: KernelVariant): boolean {
  if (rows > FEW_ROWS) return false;
  return variant === "dot" ? rows % 4 === 1 || rows % 4 === 2 : rows !== 8;
}
