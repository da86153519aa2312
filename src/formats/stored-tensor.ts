/** A tensor that lies in a file as it is, row-major and little-endian. */
import { PronkError } from "../errors.ts";
import type { ByteSource } from "../sources/source.ts";
import { FLOAT_BYTES, type FloatTensor, type FloatType } from "./float-tensor.ts";
import { printable } from "./printable.ts";

/** `start` is where it begins in the source; the caller has checked that it ends inside. */
export function storedTensor(
  name: string,
  type: FloatType,
  shape: readonly number[],
  source: ByteSource,
  start: number,
): FloatTensor {
  const rowBytes = rowBytesOf(type, shape);
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      if (into.length !== count * rowBytes || first < 0 || first + count > (shape[0] ?? 1)) {
        throw new PronkError(
          "bad_request",
          `${source.name}: tensor ${printable(name)}: rows [${first}, ${first + count}) of [${shape}] into ${into.length} bytes`,
        );
      }
      await source.readInto(into, start + first * rowBytes, signal);
    },
  };
}

/** Bytes of a slice along the first dimension; a scalar is one row. */
export function rowBytesOf(type: FloatType, shape: readonly number[]): number {
  return shape.slice(1).reduce((bytes, dim) => bytes * dim, FLOAT_BYTES[type]);
}

/** Bytes of the whole tensor. */
export function tensorBytes({ type, shape }: Pick<FloatTensor, "type" | "shape">): number {
  return shape.reduce((bytes, dim) => bytes * dim, FLOAT_BYTES[type]);
}
