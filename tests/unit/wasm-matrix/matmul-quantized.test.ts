import { describe, expect, test } from "vitest";
import { BUILDS } from "../../support/kernel-builds.ts";
import { multiplyByKernel } from "./matrix-kernels.ts";
import { multiply, QUANTIZED_FORMS, randomFloats, randomMatrix } from "./matrix-oracle.ts";

/** rows, cols, tokens: one panel and several, one block and several, whole and cut tiles. */
const SHAPES = [
  [16, 32, 1],
  [16, 32, 2],
  [48, 64, 3],
  [32, 96, 4],
  [16, 576, 5],
  [64, 64, 6],
  [16, 64, 7],
  [48, 32, 8],
  [16, 160, 9],
  [32, 64, 16],
  [48, 96, 17],
];

function rowsOf(tokens: number, cols: number, seed: number): Float32Array[] {
  return Array.from({ length: tokens }, (_, t) => randomFloats(seed + t, cols));
}

/** Codes that take every sum to its end. */
const EXTREMES = [0, 0x0f, 0x3f, 0x7f, 0x80, 0xc0, 0xf0, 0xff];

describe.each(BUILDS)("%s", (build) => {
  describe.each(QUANTIZED_FORMS)("%s", (form) => {
    test.each(SHAPES)(
      "%i x %i by %i rows is the sum in its defined order",
      (rows, cols, tokens) => {
        const matrix = randomMatrix(form, rows, cols, rows + cols);
        const x = rowsOf(tokens, cols, tokens);
        const expected = multiply(form, matrix, x, rows);
        for (const how of ["gemv", "gemm"] as const) {
          const { y, damaged } = multiplyByKernel(build, how, form, matrix, x, rows);
          expect(damaged).toEqual([]);
          expected.forEach((row, t) => {
            expect(y.subarray(t * rows, (t + 1) * rows), `${how}, row ${t}`).toEqual(row);
          });
        }
      },
    );

    test("adds to what is there, last, and leaves the columns beyond its rows alone", () => {
      const [rows, cols, ldy, before] = [32, 64, 37, 1.3];
      const matrix = randomMatrix(form, rows, cols, 1);
      const x = rowsOf(5, cols, 2);
      const expected = multiply(form, matrix, x, rows);
      for (const how of ["gemv", "gemm"] as const) {
        const { y } = multiplyByKernel(build, how, form, matrix, x, rows, { ldy, before });
        expected.forEach((row, t) => {
          const sums = row.map((value) => Math.fround(before) + value);
          expect(y.subarray(t * ldy, t * ldy + rows)).toEqual(sums);
          expect(
            y.subarray(t * ldy + rows, (t + 1) * ldy).every((v) => v === Math.fround(before)),
          ).toBe(true);
        });
      }
    });

    test("takes each row's powers of two, from -126 to 112, and results down to zero", () => {
      // 7 exponents, 16 rows: quads and halves differ, and minima are two exponents on.
      const exponents = [112, -126, -24, -120, 60, 0, -40];
      const [rows, cols] = [48, 96];
      const matrix = randomMatrix(form, rows, cols, 5, { exponents });
      const x = [-60, -30, -28, -80, -40].map((size, t) => randomFloats(t, cols, 2 ** size));
      const expected = multiply(form, matrix, x, rows);
      const all = expected.flatMap((row) => [...row]);
      expect(all.every(Number.isFinite)).toBe(true);
      expect(all.some((y) => Math.abs(y) > 2 ** 90)).toBe(true);
      expect(all.some((y) => y !== 0 && Math.abs(y) < 2 ** -126)).toBe(true);
      for (const how of ["gemv", "gemm"] as const) {
        const { y } = multiplyByKernel(build, how, form, matrix, x, rows);
        expected.forEach((row, t) => {
          expect(y.subarray(t * rows, (t + 1) * rows), `${how}, row ${t}`).toEqual(row);
        });
      }
    });

    test.each(EXTREMES)("stays exact where every byte of codes is %i", (code) => {
      const matrix = randomMatrix(form, 16, 64, 3, { code });
      const x = [1, -1, 1, -1].map((sign, t) =>
        Float32Array.from({ length: 64 }, (_, k) => (t < 2 || k % 2 === 0 ? sign : -sign)),
      );
      const expected = multiply(form, matrix, x, 16);
      for (const how of ["gemv", "gemm"] as const) {
        const { y } = multiplyByKernel(build, how, form, matrix, x, 16);
        expected.forEach((row, t) => {
          expect(y.subarray(t * 16, (t + 1) * 16)).toEqual(row);
        });
      }
    });
  });
});
