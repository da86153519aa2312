import { describe, expect, test } from "vitest";
import { f32ToBf16 } from "../../../../src/formats/half.ts";
import { hasMinimum, matrixBytes, type QuantizedForm } from "../../../../src/pack/forms.ts";
import { packRows } from "../../../../src/pack/pack-rows.ts";
import { unpackRow } from "../../../../src/pack/unpack-row.ts";
import { randomIntegers, randomWeights } from "../sample-tensors.ts";

const COLS = 64;

/**
 * Scales and minima of a row and block, and the exponents of their powers of two: the largest of each row has 15
 * bits (of q4s 8 and 7), and every d * q + m is an f32. Only q4 is packed with scales of either sign.
 */
const NUMBERS = {
  scale(form: QuantizedForm, row: number, block: number): number {
    if (form === "q4s") return block === row % 2 ? 0x80 + 7 * row : 0x43 - row;
    const magnitude = block === row % 2 ? 0x4000 + 769 * row : 0x2003 - 3 * row;
    return form === "q4" && (row + block) % 3 === 0 ? -magnitude : magnitude;
  },
  minimum(form: QuantizedForm, row: number, block: number): number {
    if (form === "q4s") return block === 1 ? row - 0x7f : 37 * (row % 4) - 73;
    return block === 1 ? 5 * row - 0x7fff : 0x1235 * (row % 4) - 0x2468;
  },
  scaleExponent: (row: number): number => (row % 3) - 20,
  minimumExponent: (row: number): number => -19 - (row % 2),
};

const BYTES = {
  q4: 32 + 2 * 288,
  q4m: 32 + 2 * 320,
  q4s: 32 + 2 * 288,
  q6m: 32 + 2 * 448,
  q8: 32 + 2 * 544,
} as const;

/** One panel by the formulas at the head of src/pack/forms.ts, written as they stand there. */
function panelByFormula(form: QuantizedForm, q: (row: number, col: number) => number): Uint8Array {
  const out = new Uint8Array(BYTES[form]);
  const view = new DataView(out.buffer);
  const blocks = COLS / 32;
  const withMinimum = hasMinimum(form);
  const tileBytes = (out.length - 32) / blocks;
  for (let r = 0; r < 16; r++) {
    view.setInt8(r, NUMBERS.scaleExponent(r));
    if (withMinimum) view.setInt8(16 + r, NUMBERS.minimumExponent(r));
  }
  for (let b = 0; b < blocks; b++) {
    const codes = 32 + b * tileBytes + (withMinimum && form !== "q4s" ? 64 : 32);
    for (let r = 0; r < 16; r++) {
      if (form === "q4s") {
        view.setInt8(codes - 32 + r, NUMBERS.minimum(form, r, b));
        view.setUint8(codes - 16 + r, NUMBERS.scale(form, r, b));
        continue;
      }
      if (withMinimum) view.setInt16(codes - 64 + 2 * r, NUMBERS.minimum(form, r, b), true);
      view.setInt16(codes - 32 + 2 * r, NUMBERS.scale(form, r, b), true);
    }
    for (let v = 0; v < 4; v++) {
      for (let r = 0; r < 4; r++) {
        for (let j = 0; j < 4; j++) {
          const code = (k: number): number => q(4 * v + r, 32 * b + k);
          const lane = 4 * r + j;
          if (form === "q8") {
            for (let g = 0; g < 8; g++) out[codes + (g * 4 + v) * 16 + lane] = code(4 * g + j);
          } else if (form === "q6m") {
            for (let h = 0; h < 2; h++) {
              for (let i = 0; i < 3; i++) {
                out[codes + ((v * 2 + h) * 3 + i) * 16 + lane] =
                  code(16 * h + 4 * i + j) | (((code(16 * h + 12 + j) >> (2 * i)) & 3) << 6);
              }
            }
          } else {
            for (let g = 0; g < 4; g++) {
              out[codes + (g * 4 + v) * 16 + lane] = code(4 * g + j) | (code(16 + 4 * g + j) << 4);
            }
          }
        }
      }
    }
  }
  return out;
}

/** Random codes; each block of a row has both ends of the range, so that quantizing finds them. */
function randomCodes(max: number, low: number): (row: number, col: number) => number {
  const next = randomIntegers(max);
  const codes = Uint8Array.from(
    { length: 16 * COLS },
    () => low + ((next() >>> 8) % (max - low + 1)),
  );
  for (let block = 0; block < codes.length; block += 32) {
    const at = (next() >>> 8) % 32;
    codes[block + at] = low;
    codes[block + ((at + 7) % 32)] = max;
  }
  return (row, col) => codes[row * COLS + col];
}

const QUANTIZED = [
  { form: "q4", max: 15, low: 0, zero: 8 },
  { form: "q4m", max: 15, low: 0, zero: 0 },
  { form: "q4s", max: 15, low: 0, zero: 0 },
  { form: "q6m", max: 63, low: 0, zero: 0 },
  { form: "q8", max: 255, low: 1, zero: 128 },
] as const;

describe.each(QUANTIZED)("$form", ({ form, max, low, zero }) => {
  /** The row's weights, by code. */
  const rowOf = (row: number, q: (row: number, col: number) => number): Float32Array =>
    Float32Array.from({ length: COLS }, (_, col) => {
      const block = Math.floor(col / 32);
      const scale = NUMBERS.scale(form, row, block) * 2 ** NUMBERS.scaleExponent(row);
      const minimum = NUMBERS.minimum(form, row, block) * 2 ** NUMBERS.minimumExponent(row);
      return (q(row, col) - zero) * scale + (hasMinimum(form) ? minimum : 0);
    });
  const q = randomCodes(max, low);
  const weights = new Float32Array(16 * COLS);
  for (let row = 0; row < 16; row++) weights.set(rowOf(row, q), row * COLS);

  test("panels follow the documented formulas byte by byte", () => {
    expect(packRows(form, weights, 16, COLS)).toEqual(panelByFormula(form, q));
  });

  test("rows read back from the formulas' bytes are d * (q - zero) + m", () => {
    const panel = panelByFormula(form, q);
    const row = new Float32Array(COLS);
    for (let r = 0; r < 16; r++) {
      unpackRow(form, panel, COLS, r, row);
      expect(row).toEqual(weights.subarray(r * COLS, (r + 1) * COLS));
    }
  });

  test("every code at every place reads back as itself", () => {
    const row = new Float32Array(COLS);
    for (let code = 0; code <= max; code++) {
      const turned = (r: number, c: number): number => (code + r + c) % (max + 1);
      const panel = panelByFormula(form, turned);
      for (let r = 0; r < 16; r++) {
        unpackRow(form, panel, COLS, r, row);
        expect(row).toEqual(rowOf(r, turned));
      }
    }
  });
});

describe.each(["bf16", "f32"] as const)("%s", (form) => {
  test("panels hold columns of 16 values, of any number of columns", () => {
    const cols = 5;
    const weights = randomWeights(16 * cols, 3);
    const panel = packRows(form, weights, 16, cols);

    expect(panel.length).toBe(16 * cols * (form === "f32" ? 4 : 2));
    const view = new DataView(panel.buffer);
    for (let c = 0; c < cols; c++) {
      for (let r = 0; r < 16; r++) {
        const weight = weights[r * cols + c];
        const at = c * 16 + r;
        if (form === "f32") expect(view.getFloat32(4 * at, true)).toBe(weight);
        else expect(view.getUint16(2 * at, true)).toBe(f32ToBf16(weight));
      }
    }
  });
});

test.each(["q4", "q4m", "q4s", "q6m", "q8", "bf16", "f32"] as const)(
  "rows past the first panel, and a last panel that is not full, read back from %s at any alignment",
  (form) => {
    const rows = 37;
    const weights = randomWeights(rows * COLS, 11);
    const packed = packRows(form, weights, rows, COLS);
    expect(packed.length).toBe(matrixBytes(form, 48, COLS));

    const moved = new Uint8Array(packed.length + 3).subarray(3);
    moved.set(packed);
    const row = new Float32Array(COLS);
    const alone = new Float32Array(COLS);
    for (let r = 0; r < rows; r++) {
      unpackRow(form, moved, COLS, r, row);
      unpackRow(
        form,
        packRows(form, weights.slice(r * COLS, (r + 1) * COLS), 1, COLS),
        COLS,
        0,
        alone,
      );
      expect(row).toEqual(alone);
    }
    for (let r = rows; r < 48; r++) {
      unpackRow(form, moved, COLS, r, row);
      expect(row.every((value) => value === 0)).toBe(true);
    }
  },
);
