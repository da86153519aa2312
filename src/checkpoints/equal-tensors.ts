/** Whether two tensors have the same bytes: a head that was saved beside the embedding it is. */
import { rowsOf } from "../formats/check-rows.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { rowBytesOf } from "../formats/stored-tensor.ts";

/** Of each tensor this much is in memory; what differs does so in the first piece. */
const PIECE_BYTES = 1024 * 1024;

export async function equalTensors(
  a: FloatTensor,
  b: FloatTensor,
  signal?: AbortSignal,
): Promise<boolean> {
  if (a.type !== b.type || String(a.shape) !== String(b.shape)) return false;
  const rows = rowsOf(a.shape);
  const rowBytes = rowBytesOf(a.type, a.shape);
  const together = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  for (let first = 0; first < rows; first += together) {
    const count = Math.min(together, rows - first);
    const [left, right] = await Promise.all(
      [a, b].map(async (tensor) => {
        const bytes = new Uint8Array(count * rowBytes);
        await tensor.readRows(first, count, bytes, signal);
        return new Uint16Array(bytes.buffer);
      }),
    );
    // Half a billion numbers in Llama 3.2's: a callback for each would take ten seconds.
    for (let i = 0; i < left!.length; i++) if (left![i] !== right![i]) return false;
  }
  return true;
}
