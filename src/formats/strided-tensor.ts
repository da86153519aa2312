/**
 * A tensor that lies in a file with strides, read row by row: whole, a part of wider rows, or
 * transposed. Scratch memory is bounded whatever the tensor's size.
 */
import { PronkError } from "../errors.ts";
import type { ByteSource } from "../sources/source.ts";
import { checkRows } from "./check-rows.ts";
import { FLOAT_BYTES, type FloatTensor, type FloatType } from "./float-tensor.ts";
import { printable } from "./printable.ts";

export interface StridedPlace {
  readonly name: string;
  readonly type: FloatType;
  /** Outermost first. */
  readonly shape: readonly number[];
  /** In elements, one a dimension. */
  readonly strides: readonly number[];
  readonly source: ByteSource;
  /** Offset of the first element; the caller checked that all lie within the source. */
  readonly start: number;
}

/** Of a transposed tensor's columns this much is in memory at a time. */
const SCRATCH_BYTES = 8 * 1024 * 1024;

/** What lies between two pieces is read with them up to this: a round trip costs as much. */
const SPANNED_GAP = 8;

/** Pieces on their way at a time. */
const READS_AT_ONCE = 16;

/**
 * Transposed tensors are read in as many passes as there are calls: ask for many rows at once.
 *
 * @throws PronkError "unsupported" when the strides are of none of these kinds.
 */
export function stridedTensor(place: StridedPlace): FloatTensor {
  const { name, type, shape, strides, source } = place;
  // Its strides may be any, and its rows are nowhere.
  if (shape.includes(0)) return rowsAt(place, 0, 0);
  const size = FLOAT_BYTES[type];
  const rowElements = shape.slice(1).reduce((product, dim) => product * dim, 1);
  const pitch = shape.length === 0 ? 1 : shape[0] === 1 ? rowElements : strides[0]!;
  if (isDense(shape.slice(1), strides.slice(1)) && pitch >= rowElements) {
    return rowsAt(place, rowElements * size, pitch * size);
  }
  const [rows, columns] = shape;
  if (shape.length === 2 && strides[0] === 1 && strides[1]! >= rows!) {
    return transposed(place, columns!, strides[1]! * size);
  }
  const what = `${source.name}: tensor ${printable(name)}: [${shape}] with strides [${strides}]`;
  throw new PronkError("unsupported", `${what}: neither rows nor transposed`);
}

/** Whether elements follow each other; the stride of a dimension of 1 says nothing. */
function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

function rowsAt(place: StridedPlace, rowBytes: number, pitch: number): FloatTensor {
  const { name, type, shape, source, start } = place;
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      const from = start + first * pitch;
      if (pitch === rowBytes || count < 2) return source.readInto(into, from, signal);
      await readPieces(place, from, pitch, rowBytes, count, signal, (piece, i) => {
        into.set(piece, i * rowBytes);
      });
    },
  };
}

/** `columns` pieces of `count` elements, `pitch` bytes apart, become `count` rows. */
function transposed(place: StridedPlace, columns: number, pitch: number): FloatTensor {
  const { name, type, shape, start } = place;
  const size = FLOAT_BYTES[type];
  const elements = ({ buffer, byteOffset, length }: Uint8Array): Uint32Array | Uint16Array =>
    size === 4
      ? new Uint32Array(buffer, byteOffset, length / size)
      : new Uint16Array(buffer, byteOffset, length / size);
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      // Elements are stored one by one, so `into` may have to be aligned first.
      const aligned: Uint8Array = into.byteOffset % size === 0 ? into : new Uint8Array(into.length);
      const out = elements(aligned);
      const row = new Uint8Array(count * size);
      const values = elements(row);
      const from = start + first * size;
      await readPieces(place, from, pitch, row.length, columns, signal, (piece, column) => {
        row.set(piece);
        for (let r = 0, o = column; r < count; r++, o += columns) out[o] = values[r]!;
      });
      if (aligned !== into) into.set(aligned);
    },
  };
}

/** Gives `count` pieces of `bytes` bytes, `pitch` bytes apart, in order. */
async function readPieces(
  { source }: StridedPlace,
  from: number,
  pitch: number,
  bytes: number,
  count: number,
  signal: AbortSignal | undefined,
  use: (piece: Uint8Array, index: number) => void,
): Promise<void> {
  const spanned = pitch <= bytes * SPANNED_GAP;
  const together = Math.max(1, Math.floor(SCRATCH_BYTES / (spanned ? pitch : bytes)));
  for (let i = 0; i < count; ) {
    const n = Math.min(spanned ? together : Math.min(together, READS_AT_ONCE), count - i);
    if (spanned) {
      const span = new Uint8Array((n - 1) * pitch + bytes);
      await source.readInto(span, from + i * pitch, signal);
      for (let j = 0; j < n; j++) use(span.subarray(j * pitch, j * pitch + bytes), i + j);
    } else {
      const pieces = Array.from({ length: n }, () => new Uint8Array(bytes));
      await Promise.all(
        pieces.map((piece, j) => source.readInto(piece, from + (i + j) * pitch, signal)),
      );
      for (const [j, piece] of pieces.entries()) use(piece, i + j);
    }
    i += n;
  }
}
