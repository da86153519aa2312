/**
 * Runs the matrix kernels of one build in guarded memory: every buffer has the size that
 * src/backends/wasm/activation-layout.ts says, and starts as NaN.
 */
import {
  activationBytes,
  activationLayout,
  gemmScratchBytes,
  tiledRows,
} from "../../../src/backends/wasm/activation-layout.ts";
import { quantizedMatmul } from "../../../src/backends/wasm/kernel-loader.ts";
import type { Kernels } from "../../../src/backends/wasm/kernels.gen.ts";
import type { QuantizedForm } from "../../../src/pack/forms.ts";
import { type KernelBuild, moduleOf, variantOf } from "../../support/kernel-builds.ts";
import { GuardedMemory } from "../backends/wasm-attention-kernels.ts";

export interface Product {
  /** (tokens, ldy); columns from `rows` on are as they were. */
  readonly y: Float32Array;
  /** Addresses that a kernel wrote to and must not have. */
  readonly damaged: readonly number[];
}

export interface ProductOptions {
  readonly ldy?: number;
  /** What y holds before; the product is then added. */
  readonly before?: number;
}

/** W times each row of x: by GEMV, row for row, or by one GEMM. */
export function multiplyByKernel(
  build: KernelBuild,
  how: "gemv" | "gemm",
  form: QuantizedForm,
  matrix: Uint8Array,
  x: readonly Float32Array[],
  rows: number,
  options: ProductOptions = {},
): Product {
  const space = new GuardedMemory();
  const variant = variantOf(build);
  const kernels: Kernels = space.kernels(moduleOf(build));
  const { gemv, gemm } = quantizedMatmul(kernels, variant, form);
  const tokens = x.length;
  const cols = x[0].length;
  const { before, ldy = rows } = options;
  const accumulate = before === undefined ? 0 : 1;

  const w = space.allocate(matrix.length);
  space.bytes(w, matrix.length).set(matrix);
  const values = space.allocate(tokens * cols * 4);
  x.forEach((row, t) => {
    space.floats(values, tokens * cols).set(row, t * cols);
  });
  const y = space.allocate(tiledRows(tokens) * ldy * 4);
  if (before !== undefined) space.floats(y, tokens * ldy).fill(before);

  if (how === "gemm") {
    const layout = activationLayout(variant, form, 2);
    const a = space.allocate(activationBytes(layout, tokens, cols));
    const scratch = space.allocate(gemmScratchBytes(cols));
    kernels.quantize(a, values, tokens, cols, cols, layout);
    gemm(y, w, a, scratch, tiledRows(tokens), rows, cols, ldy, accumulate);
  } else {
    const layout = activationLayout(variant, form, 1);
    const a = space.allocate(activationBytes(layout, 1, cols));
    for (let t = 0; t < tokens; t++) {
      kernels.quantize(a, values + t * cols * 4, 1, cols, cols, layout);
      gemv(y + t * ldy * 4, w, a, rows, cols, accumulate);
    }
  }
  return { y: space.floats(y, tokens * ldy).slice(), damaged: space.damaged() };
}
