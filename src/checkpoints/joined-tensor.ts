/** Tensors over others: the parts that model-parallel shards hold, and q/k rows in another order. */
import { PronkError } from "../errors.ts";
import { checkRows, rowsOf } from "../formats/check-rows.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { printable } from "../formats/printable.ts";
import { rowBytesOf } from "../formats/stored-tensor.ts";

/** Of a shard's rows on their way to their places this much is in memory. */
const SCRATCH_BYTES = 4 * 1024 * 1024;

/**
 * Parts of the same shape, one after the other along the first dimension (0) or side by side (1).
 *
 * @throws PronkError "bad_format" when their types or shapes differ; `where` names the checkpoint.
 */
export function joinTensors(
  name: string,
  parts: readonly FloatTensor[],
  dimension: 0 | 1,
  where: string,
): FloatTensor {
  const first = parts[0]!;
  for (const { type, shape } of parts) {
    if (type === first.type && String(shape) === String(first.shape)) continue;
    const found = `[${first.shape}] ${first.type} and [${shape}] ${type} in shards`;
    throw new PronkError("bad_format", `${where}: tensor ${printable(name)}: ${found}`);
  }
  if (parts.length === 1) return { ...first, name };
  const shape = first.shape.map((dim, i) => (i === dimension ? dim * parts.length : dim));
  return dimension === 0 ? stacked(name, parts, shape) : sideBySide(name, parts, shape);
}

function stacked(
  name: string,
  parts: readonly FloatTensor[],
  shape: readonly number[],
): FloatTensor {
  const { type } = parts[0]!;
  const rows = rowsOf(parts[0]!.shape);
  const rowBytes = rowBytesOf(type, shape);
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      for (let done = 0; done < count; ) {
        const row = (first + done) % rows;
        const n = Math.min(count - done, rows - row);
        const place = into.subarray(done * rowBytes, (done + n) * rowBytes);
        await parts[Math.floor((first + done) / rows)]!.readRows(row, n, place, signal);
        done += n;
      }
    },
  };
}

function sideBySide(
  name: string,
  parts: readonly FloatTensor[],
  shape: readonly number[],
): FloatTensor {
  const { type } = parts[0]!;
  const rowBytes = rowBytesOf(type, shape);
  const partBytes = rowBytes / parts.length;
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      const together = Math.max(1, Math.floor(SCRATCH_BYTES / partBytes));
      const scratch = new Uint8Array(Math.min(together, count) * partBytes);
      for (let done = 0; done < count; done += together) {
        const n = Math.min(together, count - done);
        for (const [p, part] of parts.entries()) {
          const rows = scratch.subarray(0, n * partBytes);
          await part.readRows(first + done, n, rows, signal);
          for (let r = 0; r < n; r++) {
            const row = rows.subarray(r * partBytes, (r + 1) * partBytes);
            into.set(row, (done + r) * rowBytes + p * partBytes);
          }
        }
      }
    },
  };
}

/**
 * Rows of q or k from Meta's and fairseq2's order, pairs (x0, y0, x1, y1, ...) in each head, to
 * Hugging Face's, halves (x0, x1, ..., y0, y1, ...). Reads whole heads.
 */
export function pairsToHalves(tensor: FloatTensor, heads: number): FloatTensor {
  const { name, type, shape } = tensor;
  const headRows = rowsOf(shape) / heads;
  const half = headRows / 2;
  const rowBytes = rowBytesOf(type, shape);
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      const head = new Uint8Array(Math.min(count, 1) * headRows * rowBytes);
      for (let done = 0; done < count; ) {
        const start = first + done - ((first + done) % headRows);
        await tensor.readRows(start, headRows, head, signal);
        const end = Math.min(first + count, start + headRows);
        for (let row = first + done - start; row < end - start; row++, done++) {
          const from = (2 * (row % half) + (row < half ? 0 : 1)) * rowBytes;
          into.set(head.subarray(from, from + rowBytes), done * rowBytes);
        }
      }
    },
  };
}
