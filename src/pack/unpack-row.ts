/** Packed rows back to f32: for the reference backend and for tests, in the kernels' arithmetic. */
import { bf16ToF32 } from "../formats/half.ts";
import {
  BLOCK_COLS,
  type MatrixForm,
  PANEL_HEADER_BYTES,
  PANEL_ROWS,
  panelBytes,
  type QuantizedForm,
} from "./forms.ts";
import { powerOfTwo } from "./panels/row-scales.ts";

/**
 * Writes row `row` of a packed matrix into `out` (cols): exactly the weights that the kernels mean.
 * d * q is exact in f32 but for overflow; d * q + m is rounded once.
 *
 * `matrix` is the whole matrix, at any alignment.
 */
export function unpackRow(
  form: MatrixForm,
  matrix: Uint8Array,
  cols: number,
  row: number,
  out: Float32Array,
): void {
  const panel = Math.floor(row / PANEL_ROWS) * panelBytes(form, cols);
  const r = row % PANEL_ROWS;
  const view = new DataView(matrix.buffer, matrix.byteOffset, matrix.byteLength);
  const bf16 = (at: number): number => bf16ToF32(view.getUint16(at, true));

  if (form === "f32") {
    for (let c = 0; c < cols; c++) out[c] = view.getFloat32(panel + (c * PANEL_ROWS + r) * 4, true);
    return;
  }
  if (form === "bf16") {
    for (let c = 0; c < cols; c++) out[c] = bf16(panel + (c * PANEL_ROWS + r) * 2);
    return;
  }

  const { minimum: hasMinimum, tileBytes, zero, code } = TILES[form];
  const isShort = form === "q4s";
  const numberBytes = isShort ? 1 : 2;
  const scaleUnit = powerOfTwo(view.getInt8(panel + r));
  const minimumUnit = powerOfTwo(view.getInt8(panel + PANEL_ROWS + r));
  const blocks = cols / BLOCK_COLS;
  for (let b = 0; b < blocks; b++) {
    const tile = panel + PANEL_HEADER_BYTES + b * tileBytes;
    const scales = tile + (hasMinimum ? numberBytes * PANEL_ROWS : 0);
    const d = isShort ? view.getUint8(scales + r) : view.getInt16(scales + 2 * r, true);
    const m = isShort ? view.getInt8(tile + r) : view.getInt16(tile + 2 * r, true);
    const scale = d * scaleUnit;
    const minimum = hasMinimum ? m * minimumUnit : 0;
    const codes = scales + numberBytes * PANEL_ROWS;
    for (let k = 0; k < BLOCK_COLS; k++) {
      const product = Math.fround((code(matrix, codes, r, k) - zero) * scale);
      out[b * BLOCK_COLS + k] = Math.fround(product + minimum);
    }
  }
}

interface TileLayout {
  readonly minimum: boolean;
  readonly tileBytes: number;
  /** The code that means 0. */
  readonly zero: number;
  /** The code of column k of the tile's row r; `at` is where the tile's codes start. */
  code(bytes: Uint8Array, at: number, r: number, k: number): number;
}

const TILES: Readonly<Record<QuantizedForm, TileLayout>> = {
  q4: { minimum: false, tileBytes: 288, zero: 8, code: code4 },
  q4m: { minimum: true, tileBytes: 320, zero: 0, code: code4 },
  q4s: { minimum: true, tileBytes: 288, zero: 0, code: code4 },
  q6m: { minimum: true, tileBytes: 448, zero: 0, code: code6 },
  q8: { minimum: false, tileBytes: 544, zero: 128, code: code8 },
};

function code4(bytes: Uint8Array, at: number, r: number, k: number): number {
  const column = k % 16;
  const byte = bytes[at + Math.floor(column / 4) * 64 + 4 * r + (column % 4)];
  return k < 16 ? byte & 15 : byte >> 4;
}

function code6(bytes: Uint8Array, at: number, r: number, k: number): number {
  const group = Math.floor(k / 4) % 4;
  const half = at + Math.floor(r / 4) * 96 + Math.floor(k / 16) * 48 + 4 * (r % 4) + (k % 4);
  if (group < 3) return bytes[half + 16 * group] & 63;
  return (bytes[half] >> 6) | ((bytes[half + 16] >> 6) << 2) | ((bytes[half + 32] >> 6) << 4);
}

function code8(bytes: Uint8Array, at: number, r: number, k: number): number {
  return bytes[at + Math.floor(k / 4) * 64 + 4 * r + (k % 4)];
}
