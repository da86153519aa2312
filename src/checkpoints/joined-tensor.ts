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
 * Hugging Face's, halves (x0, x1, ..., y0, y1, ...). Reads no more than the heads asked for.
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
        const from = (first + done) % headRows;
        const n = Math.min(count - done, headRows - from);
        const [low, high] = pairRows(from, n, half);
        const pairs = head.subarray(0, (high - low) * rowBytes);
        await tensor.readRows(first + done - from + low, high - low, pairs, signal);
        for (let row = from; row < from + n; row++, done++) {
          const at = (pairRow(row, half) - low) * rowBytes;
          into.set(pairs.subarray(at, at + rowBytes), done * rowBytes);
        }
      }
    },
  };
}

/** Where a row of the halves is among the pairs of its head. */
function pairRow(row: number, half: number): number {
  return row < half ? 2 * row : 2 * (row - half) + 1;
}

/** The range of pairs that holds `count` rows from `from` on. */
function pairRows(from: number, count: number, half: number): [low: number, high: number] {
  const last = from + count - 1;
  if (from < half && last >= half) return [0, 2 * half];
  return [pairRow(from, half), pairRow(last, half) + 1];
}
