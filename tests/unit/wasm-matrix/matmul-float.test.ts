import { describe, expect, test } from "vitest";
import { MODULES } from "../../support/kernel-builds.ts";
import { GuardedMemory } from "../backends/wasm-attention-kernels.ts";
import { randomFloats } from "./matrix-oracle.ts";

const ROWS = 32;
const FORMS = ["f32", "bf16"] as const;

/** f32 that bf16 holds. */
function toBf16(values: Float32Array): Float32Array {
  const bits = new Uint32Array(values.buffer.slice(0)).map((word) => word & 0xffff0000);
  return new Float32Array(bits.buffer);
}

/** (rows, cols) weights as panels [cols][16]. */
function toPanels(
  form: "f32" | "bf16",
  weights: Float32Array,
  cols: number,
): Float32Array | Uint16Array {
  const place = (i: number): number => {
    const [panel, rest] = [Math.floor(i / (16 * cols)), i % (16 * cols)];
    return (panel * 16 + (rest % 16)) * cols + Math.floor(rest / 16);
  };
  const panels = Float32Array.from(weights, (_, i) => weights[place(i)]);
  return form === "f32"
    ? panels
    : Uint16Array.from(new Uint32Array(panels.buffer), (word) => word >>> 16);
}

describe.each(MODULES)("%s.wasm", (module) => {
  describe.each(FORMS)("matmul_%s", (form) => {
    test.each([1, 2, 7, 33, 64])(
      "of %i columns sums in ascending order, for any number of rows",
      (cols) => {
        const [ldx, ldy] = [cols + 3, ROWS + 5];
        const weights = toBf16(randomFloats(cols, ROWS * cols));
        const panels = toPanels(form, weights, cols);
        for (let tokens = 1; tokens <= 9; tokens++) {
          const values = randomFloats(tokens, tokens * ldx);
          const expected = Array.from({ length: tokens * ROWS }, (_, i) => {
            const [t, row] = [Math.floor(i / ROWS), i % ROWS];
            let sum = 0;
            for (let k = 0; k < cols; k++) {
              sum = Math.fround(sum + Math.fround(values[t * ldx + k] * weights[row * cols + k]));
            }
            return sum;
          });
          const space = new GuardedMemory();
          const kernels = space.kernels(module);
          const w = space.allocate(panels.byteLength);
          space.bytes(w, panels.byteLength).set(new Uint8Array(panels.buffer));
          const x = space.copyIn(values.subarray(0, (tokens - 1) * ldx + cols));
          const y = space.allocate(((tokens - 1) * ldy + ROWS) * 4);
          const rowsOfY = (): number[] =>
            Array.from({ length: tokens }, (_, t) => [
              ...space.floats(y + t * ldy * 4, ROWS),
            ]).flat();
          kernels[`matmul_${form}`](y, w, x, tokens, ROWS, cols, ldx, ldy, 0);
          expect(rowsOfY()).toEqual(expected);
          kernels[`matmul_${form}`](y, w, x, tokens, ROWS, cols, ldx, ldy, 1);
          expect(rowsOfY()).toEqual(expected.map((value) => 2 * value));
          expect(space.damaged()).toEqual([]);
        }
      },
    );
  });
});
