import { describe, expect, test } from "vitest";
import { hasMinimum, type MatrixForm, matrixBytes } from "../../../src/pack/forms.ts";
import { MODULES } from "../../support/kernel-builds.ts";
import { GuardedMemory } from "../backends/wasm-attention-kernels.ts";
import { decodeRow, QUANTIZED_FORMS, randomIntegers, randomMatrix } from "./matrix-oracle.ts";

const ROWS = 48;
const IDS = [0, 1, 15, 16, 17, 31, 32, 47, 47];

function embed(module: string, form: MatrixForm, matrix: Uint8Array, cols: number): number[][] {
  const space = new GuardedMemory();
  const w = space.allocate(matrix.length);
  space.bytes(w, matrix.length).set(matrix);
  const ids = space.allocate(IDS.length * 4);
  new Int32Array(space.memory.buffer, ids, IDS.length).set(IDS);
  const x = space.allocate(IDS.length * cols * 4);
  space.kernels(module)[`embed_${form}`](x, w, ids, IDS.length, cols);
  expect(space.damaged()).toEqual([]);
  return IDS.map((_, t) => [...space.floats(x + t * cols * 4, cols)]);
}

describe.each(MODULES)("embed in %s.wasm", (module) => {
  test.each(QUANTIZED_FORMS)("takes the rows of a %s matrix, whatever their exponents", (form) => {
    for (const [cols, exponents] of [[32], [96], [96, [-126, 112, -30, 0, 90]]] as const) {
      const matrix = randomMatrix(form, ROWS, cols, cols, { exponents });
      const expected = IDS.map((id) => {
        const { unit, minimumUnit, blocks } = decodeRow(form, matrix, cols, id);
        return blocks.flatMap(({ scale, minimum, q }) =>
          Array.from(q, (value) => {
            const product = Math.fround(value * scale * unit);
            return hasMinimum(form) ? Math.fround(product + minimum * minimumUnit) : product;
          }),
        );
      });
      expect(embed(module, form, matrix, cols)).toEqual(expected);
    }
  });

  test.each(["f32", "bf16"] as const)("takes the rows of a %s matrix of any width", (form) => {
    for (const cols of [1, 7, 32]) {
      const next = randomIntegers(cols);
      const matrix = new Uint8Array(matrixBytes(form, ROWS, cols));
      const view = new DataView(matrix.buffer);
      const weights = Array.from({ length: ROWS * cols }, () => (next() >> 24) / 64); // bf16 holds them
      for (let row = 0; row < ROWS; row++) {
        for (let k = 0; k < cols; k++) {
          const at = ((row >> 4) * cols + k) * 16 + (row & 15);
          if (form === "f32") view.setFloat32(4 * at, weights[row * cols + k], true);
          else {
            const bits = new Uint32Array(Float32Array.of(weights[row * cols + k]).buffer)[0];
            view.setUint16(2 * at, bits >>> 16, true);
          }
        }
      }
      const expected = IDS.map((id) => weights.slice(id * cols, (id + 1) * cols));
      expect(embed(module, form, matrix, cols)).toEqual(expected);
    }
  });
});
