/** A tensor with its rows in another order: row i is the source's row order[i]. */
import { checkRows } from "./check-rows.ts";
import type { FloatTensor } from "./float-tensor.ts";
import { rowBytesOf } from "./stored-tensor.ts";

/** Rows that are read and dropped cost less than reads of single rows, up to so many for each used. */
const MAX_WASTE = 8;

/** `order` is a permutation of the rows. Reads one window where the rows lie near each other. */
export function permuteRows(tensor: FloatTensor, order: Int32Array): FloatTensor {
  const { name, type, shape } = tensor;
  const rowBytes = rowBytesOf(type, shape);
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      if (count === 0) return;
      const rows = order.subarray(first, first + count);
      let low = Number.POSITIVE_INFINITY;
      let high = -1;
      for (const row of rows) {
        low = Math.min(low, row);
        high = Math.max(high, row);
      }
      const place = (i: number): Uint8Array => into.subarray(i * rowBytes, (i + 1) * rowBytes);
      if (high - low + 1 > MAX_WASTE * count) {
        for (let i = 0; i < count; i++) await tensor.readRows(rows[i]!, 1, place(i), signal);
        return;
      }
      const window = new Uint8Array((high - low + 1) * rowBytes);
      await tensor.readRows(low, high - low + 1, window, signal);
      for (let i = 0; i < count; i++) {
        const at = (rows[i]! - low) * rowBytes;
        place(i).set(window.subarray(at, at + rowBytes));
      }
    },
  };
}

/** The order that undoes `order`. */
export function invertOrder(order: Int32Array): Int32Array {
  const inverse = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) inverse[order[i]!] = i;
  return inverse;
}
