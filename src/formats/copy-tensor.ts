/** A tensor's bytes in order, in pieces of bounded size. */
import { throwIfAborted } from "../errors.ts";
import type { FloatTensor } from "./float-tensor.ts";
import { rowBytesOf, tensorBytes } from "./stored-tensor.ts";

/** Large against the cost of a read, small against the memory of a Worker. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** `bytes` of a piece are valid until the returned promise settles. */
export async function copyTensor(
  tensor: FloatTensor,
  write: (bytes: Uint8Array) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  if (tensorBytes(tensor) === 0) return;
  const rows = tensor.shape[0] ?? 1;
  const rowBytes = rowBytesOf(tensor.type, tensor.shape);
  const step = Math.max(1, Math.min(rows, Math.floor(PIECE_BYTES / rowBytes)));
  const piece = new Uint8Array(step * rowBytes);
  for (let first = 0; first < rows; first += step) {
    throwIfAborted(signal);
    const count = Math.min(step, rows - first);
    const bytes = piece.subarray(0, count * rowBytes);
    await tensor.readRows(first, count, bytes, signal);
    await write(bytes);
  }
}
