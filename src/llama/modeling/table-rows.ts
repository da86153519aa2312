/**
 * The embedding and the head in a runner's image: their rows as numbers, and other rows in their place. Rows
 * that stay keep their bytes, whatever the form; new ones are quantized to it.
 */
import { PronkError } from "../../errors.ts";
import { fromF32, toF32 } from "../../formats/cast-tensor.ts";
import { alignUp, type MatrixForm, PANEL_ROWS, panelBytes, weightBytes } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import { panelViews, sourceBytes } from "../../pack/panels/panel-views.ts";
import { rowPacker } from "../../pack/panels/row-packer.ts";
import { unpackRow } from "../../pack/unpack-row.ts";
import type { ModelWeights } from "./runner-build.ts";

/** A weight that is not a vector. */
export interface Table extends PackedTensor {
  readonly form: MatrixForm;
}

/** @throws PronkError "bad_format" when there is no such matrix. */
export function tableOf(tensors: readonly PackedTensor[], name: string): Table {
  const found = tensors.find((tensor) => tensor.name === name);
  if (found && found.form !== "vector") return found as Table;
  throw new PronkError("bad_format", `${name}: no such matrix`);
}

/** Row `row` as the kernels compute with it, in `out` (cols,). */
export function readRow(image: Uint8Array, table: Table, row: number, out: Float32Array): void {
  const { form, shape, offset } = table;
  const size = panelBytes(form, shape[1]);
  const panel = offset + Math.floor(row / PANEL_ROWS) * size;
  unpackRow(form, image.subarray(panel, panel + size), shape[1], row % PANEL_ROWS, out);
}

/** The rows' mean, summed in f64 from the first to the last. */
export function meanRow(image: Uint8Array, table: Table): Float32Array {
  const [rows, cols] = table.shape;
  const sums = new Float64Array(cols);
  const values = new Float32Array(cols);
  for (let row = 0; row < rows; row++) {
    readRow(image, table, row, values);
    for (let i = 0; i < cols; i++) sums[i] += values[i];
  }
  return Float32Array.from(sums, (sum) => sum / rows);
}

/**
 * Writes rows [first, end) of a table, quantized to its form; `values` fills them.
 *
 * @throws PronkError "bad_request" when a value is infinite or NaN.
 */
export function writeRows(
  image: Uint8Array,
  { form, shape, offset, name }: Pick<Table, "form" | "shape" | "offset" | "name">,
  first: number,
  end: number,
  values: (row: number, out: Float32Array) => void,
): void {
  const cols = shape[1];
  const size = panelBytes(form, cols);
  const out = panelViews(size);
  const source = new Float32Array(cols);
  const bytes = sourceBytes(new Uint8Array(source.buffer));
  const pack = rowPacker("F32", form, cols);
  for (let row = first; row < end; ) {
    const panel = offset + Math.floor(row / PANEL_ROWS) * size;
    out.u8.set(image.subarray(panel, panel + size));
    const last = Math.min(end, row - (row % PANEL_ROWS) + PANEL_ROWS);
    for (; row < last; row++) {
      source.fill(0);
      values(row, source);
      if (!pack(bytes, 0, out, 0, row % PANEL_ROWS)) {
        throw new PronkError("bad_request", `${name}: row ${row}: a value is infinite or NaN`);
      }
    }
    image.set(out.u8, panel);
  }
}

/** What a table becomes. */
export interface TableChange {
  readonly name: string;
  readonly rows: number;
  /** Default: the form that it has. */
  readonly form?: MatrixForm;
  /** Rows from here on are new; those before keep their bytes. */
  readonly kept: number;
  readonly values: (row: number, out: Float32Array) => void;
}

/** The weights of an image with some tables changed. `image` is read when they are loaded. */
export function changedWeights(
  image: Uint8Array,
  tensors: readonly PackedTensor[],
  changes: readonly TableChange[],
): ModelWeights {
  const byName = new Map(changes.map((change) => [change.name, change]));
  let end = 0;
  const placed = tensors.map((tensor): PackedTensor => {
    const { dtype, ...old } = tensor;
    const change = byName.get(tensor.name);
    const form = change?.form ?? tensor.form;
    const shape = change ? [change.rows, tensor.shape[1]] : tensor.shape;
    const offset = end;
    const bytes = weightBytes(form, shape);
    end = alignUp(offset + bytes);
    // All rows that are given need not fit the 16 bits that the old ones came from.
    const isGiven = change?.kept === 0;
    return { ...old, form, shape, offset, bytes, ...(dtype && !isGiven && { dtype }) };
  });
  return {
    tensors: placed,
    weightBytes: end,
    async load(destination) {
      for (const [i, tensor] of placed.entries()) {
        const old = tensors[i];
        const change = byName.get(tensor.name);
        const common = change && change.kept === 0 ? 0 : Math.min(old.bytes, tensor.bytes);
        destination.set(image.subarray(old.offset, old.offset + common), tensor.offset);
        if (!change) continue;
        const table = tensor as Table;
        writeRows(destination, table, change.kept, change.rows, (row, out) => {
          change.values(row, out);
          if (table.dtype) roundTo(table.dtype, out);
        });
        const padded = Math.ceil(change.rows / PANEL_ROWS) * PANEL_ROWS;
        writeRows(destination, table, change.rows, padded, () => {});
      }
    },
  };
}

/** What a file of 16-bit weights can hold. */
function roundTo(dtype: "F16" | "BF16", values: Float32Array): void {
  const bits = new Uint8Array(values.length * 2);
  fromF32(values, dtype, bits);
  values.set(toF32(bits, dtype));
}
