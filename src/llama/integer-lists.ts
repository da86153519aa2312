/** Integers as tokenizers give them: nested lists, or with return_tensors one array and its shape. */
import { PronkError } from "../errors.ts";
import type { IntTensor } from "./tokenizer/batch-encoding.ts";

/** (batch, length), as lists or as what `return_tensors` gives. */
export type IntegerRows = readonly (readonly number[])[] | IntTensor;

/**
 * Rows of a tensor of two dimensions; lists stay as they are.
 *
 * @throws PronkError "bad_request" naming the argument.
 */
export function integerLists<Rows>(
  value: Rows | IntTensor,
  name: string,
): Rows | readonly (readonly number[])[] {
  if (!isIntTensor(value)) return value;
  const { data, shape } = value;
  const [rows, length] = shape;
  if (shape.length !== 2 || data.length !== rows * length) {
    const why = `${data.length} numbers of shape (${shape.join(", ")}), not (batch, length)`;
    throw new PronkError("bad_request", `${name}: ${why}`, { param: name });
  }
  return Array.from({ length: rows }, (_, row) =>
    Array.from(data.subarray(row * length, (row + 1) * length)),
  );
}

function isIntTensor(value: unknown): value is IntTensor {
  return typeof value === "object" && value !== null && "shape" in value && "data" in value;
}
