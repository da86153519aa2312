/** A matrix in f32, packed in memory at once: for measurements and tests; a pack is written row by row. */
import { PronkError } from "../errors.ts";
import { BLOCK_COLS, isQuantized, type MatrixForm, matrixBytes, PANEL_ROWS } from "./forms.ts";
import { panelViews } from "./panels/panel-views.ts";
import { type RowQuantizer, rowQuantizer } from "./panels/quantize-row.ts";

/**
 * Packs (rows, cols) row-major weights, rounded to nearest or by `quantizer`; unpackRow() is the
 * inverse, up to quantization.
 *
 * @throws PronkError "bad_request" when sizes do not fit or a weight is infinite or NaN.
 */
export function packRows(
  form: MatrixForm,
  weights: Float32Array,
  rows: number,
  cols: number,
  quantizer?: RowQuantizer,
): Uint8Array {
  if (weights.length !== rows * cols || (isQuantized(form) && cols % BLOCK_COLS !== 0)) {
    throw new PronkError(
      "bad_request",
      `pack: ${weights.length} weights as ${form} [${rows},${cols}]`,
    );
  }
  const out = panelViews(matrixBytes(form, rows, cols));
  const panelSize = matrixBytes(form, PANEL_ROWS, cols);
  const quantize = quantizer ?? rowQuantizer(form, cols);
  for (let row = 0; row < rows; row++) {
    const values = weights.subarray(row * cols, (row + 1) * cols);
    const panel = Math.floor(row / PANEL_ROWS) * panelSize;
    if (!quantize(values, out, panel, row % PANEL_ROWS)) {
      throw new PronkError(
        "bad_request",
        `pack: row ${row}: a weight is infinite or NaN, or too large`,
      );
    }
  }
  return out.u8;
}
