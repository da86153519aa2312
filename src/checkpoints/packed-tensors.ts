/** The weights of a pack's image as a checkpoint's tensors: exactly what the kernels compute with. */
import { castTensor } from "../formats/cast-tensor.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { type MatrixForm, PANEL_ROWS, panelBytes } from "../pack/forms.ts";
import type { PackedTensor } from "../pack/manifest.ts";
import { unpackRow } from "../pack/unpack-row.ts";

/** Bytes [start, end) of the image; they may change once rows have been read. */
export type ReadImage = (
  start: number,
  end: number,
  signal?: AbortSignal,
) => Uint8Array | Promise<Uint8Array>;

/** A tensor whose source had 16 bits has them again, where the form kept every value. */
export function packedFloatTensor(tensor: PackedTensor, read: ReadImage): FloatTensor {
  const { form } = tensor;
  const found = form === "vector" ? vector(tensor, read) : matrix(tensor, form, read);
  return tensor.dtype ? castTensor(found, tensor.dtype) : found;
}

function vector({ name, shape, offset }: PackedTensor, read: ReadImage): FloatTensor {
  return {
    name,
    type: "F32",
    shape,
    async readRows(first, count, into, signal) {
      const start = offset + first * 4;
      into.set(await read(start, start + count * 4, signal));
    },
  };
}

function matrix(
  { name, shape, offset }: PackedTensor,
  form: MatrixForm,
  read: ReadImage,
): FloatTensor {
  const cols = shape[1]!;
  const size = panelBytes(form, cols);
  return {
    name,
    type: form === "bf16" ? "BF16" : "F32",
    shape,
    async readRows(first, count, into, signal) {
      const firstPanel = Math.floor(first / PANEL_ROWS);
      const endPanel = Math.ceil((first + count) / PANEL_ROWS);
      const panels = await read(offset + firstPanel * size, offset + endPanel * size, signal);
      unpackRows(form, panels, cols, first - firstPanel * PANEL_ROWS, count, into);
    },
  };
}

/** Rows [first, first + count) of whole panels. */
function unpackRows(
  form: MatrixForm,
  panels: Uint8Array,
  cols: number,
  first: number,
  count: number,
  into: Uint8Array,
): void {
  const values = new Float32Array(cols);
  const bytes = new Uint8Array(values.buffer);
  for (let i = 0; i < count; i++) {
    unpackRow(form, panels, cols, first + i, values);
    if (form === "bf16") {
      // The upper halves of the f32.
      for (let c = 0; c < cols; c++) {
        into[(i * cols + c) * 2] = bytes[4 * c + 2]!;
        into[(i * cols + c) * 2 + 1] = bytes[4 * c + 3]!;
      }
    } else into.set(bytes, i * cols * 4);
  }
}
