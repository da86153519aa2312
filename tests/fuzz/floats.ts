/** Reads the rows of a tensor as a model's loader does. */
import { toF32 } from "../../src/formats/cast-tensor.ts";
import type { FloatTensor } from "../../src/formats/float-tensor.ts";
import { rowBytesOf } from "../../src/formats/stored-tensor.ts";
import { usable } from "./usable.ts";

/** A file of a few KB may claim strides that repeat its bytes without end. */
const MAX_BYTES = 1 << 18;

/** First the first rows, as many as are read at a time, then the last one again. */
export async function readRows(tensor: FloatTensor): Promise<void> {
  await usable(`tensor ${tensor.name}`, async () => {
    const { shape, type } = tensor;
    const rowBytes = rowBytesOf(type, shape);
    const rows = shape[0] ?? 1;
    if (rowBytes > MAX_BYTES) return;
    const count = Math.min(rows, Math.floor(MAX_BYTES / Math.max(1, rowBytes)));
    const bytes = new Uint8Array(count * rowBytes);
    await tensor.readRows(0, count, bytes);
    if (toF32(bytes, type).length * (type === "F32" ? 4 : 2) !== bytes.length) {
      throw new Error("its bytes are no whole numbers");
    }
    if (rows === 0 || count < rows) return;
    const last = new Uint8Array(rowBytes);
    await tensor.readRows(rows - 1, 1, last);
    const again = bytes.subarray((count - 1) * rowBytes);
    if (last.some((byte, i) => byte !== again[i])) throw new Error("its last row differs");
  });
}
