/** What every tensor's `readRows` checks first. */
import { PronkError } from "../errors.ts";
import type { FloatTensor } from "./float-tensor.ts";
import { printable } from "./printable.ts";
import { rowBytesOf } from "./stored-tensor.ts";

/** Rows of a tensor; a scalar is one row. */
export function rowsOf(shape: readonly number[]): number {
  return shape[0] ?? 1;
}

/** @throws PronkError "bad_request" when it has no such rows or `into` has not their bytes. */
export function checkRows(
  tensor: Pick<FloatTensor, "name" | "type" | "shape">,
  first: number,
  count: number,
  into: Uint8Array,
): void {
  const rows = rowsOf(tensor.shape);
  const inside =
    Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count >= 0;
  if (
    inside &&
    first + count <= rows &&
    into.length === count * rowBytesOf(tensor.type, tensor.shape)
  )
    return;
  const asked = `rows [${first}, ${first + count}) into ${into.length} bytes`;
  throw new PronkError(
    "bad_request",
    `tensor ${printable(tensor.name)}: ${asked}, it has ${rows} rows`,
  );
}
